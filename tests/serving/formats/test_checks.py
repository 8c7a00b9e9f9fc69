"""Refused before TensorFlow is loaded."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from beam_jobs.errors import InputError
from model.config import HeadConfig
from serving.formats.checks import check
from serving.formats.options import FormatOptions
from tests.helpers.configs import tiny_config
from tests.helpers.datasets import write_dataset

LITERT = FormatOptions(format="litert")


def refused(workdir, out, options=LITERT) -> str:
    with pytest.raises(InputError) as caught:
        check(workdir, out, options)
    return str(caught.value)


def test_a_sound_run_is_taken(run_folder, squares, tmp_path):
    check(run_folder, tmp_path / "new", LITERT)
    check(run_folder, tmp_path, LITERT)  # an empty folder is as good
    options = FormatOptions(
        format="litert", precision="int8", dataset=str(squares)
    )
    check(run_folder, tmp_path / "new", options)


def test_what_no_format_holds(run_folder, tmp_path):
    assert "holds no training" in refused(tmp_path, tmp_path / "new")
    other = tmp_path / "other"
    other.mkdir()
    config = tiny_config()
    data = dataclasses.replace(
        config.data, framing="whole", rotation_probability=0.0
    )
    detector = dataclasses.replace(
        config, data=data, head=HeadConfig("detection")
    )
    (other / "config.json").write_text(detector.to_json())
    assert "a model of the task detection" in refused(other, tmp_path / "new")
    network = dataclasses.replace(config.network, precision="mixed_bfloat16")
    mixed = dataclasses.replace(config, network=network)
    (other / "config.json").write_text(mixed.to_json())
    assert "computes in mixed_bfloat16" in refused(other, tmp_path / "new")


def test_a_folder_in_use_stays(run_folder, tmp_path):
    (tmp_path / "mine").touch()
    assert "--out names a folder to be made" in refused(run_folder, tmp_path)


def test_images_must_suit(run_folder, squares, tmp_path):
    def with_(dataset, **changes):
        options = FormatOptions("litert", dataset=str(dataset), **changes)
        return refused(run_folder, tmp_path / "new", options)

    assert "is no data set" in with_(tmp_path)
    assert "no records in split 'test'" in with_(squares, split="test")
    other = write_dataset(tmp_path / "other")
    vocabulary = other / "vocabulary.tsv"
    vocabulary.write_text(vocabulary.read_text().replace("c4", "d4"))
    assert "has other classes" in with_(other)
    shutil.rmtree(other / "train")
    (other / "vocabulary.tsv").write_bytes(
        (squares / "vocabulary.tsv").read_bytes()
    )
    assert "split 'train'" in with_(other, precision="int8")
