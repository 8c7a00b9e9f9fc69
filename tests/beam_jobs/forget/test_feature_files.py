"""Rows of feature files go; the others, and what made them, stay."""

from pathlib import Path

import numpy as np
import pytest

from beam_jobs.errors import InputError
from beam_jobs.forget import proof
from beam_jobs.forget.feature_files import forget_features
from beam_jobs.forget.names import Names
from beam_jobs.forget.shards import Found
from model.features import feature_files
from tests.helpers.features import read

PATHS = ["x/a.jpg", "b.png", "n01/n01_1.JPEG", "c.jpg"]
SOURCE = feature_files.Source("/runs/first", "abc")


@pytest.fixture(params=[".npz", ".parquet"])
def path(request, tmp_path):
    final = str(tmp_path / f"features{request.param}")
    rows = np.arange(16, dtype=np.float32).reshape(4, 4)
    blocks = [(PATHS[:2], rows[:2]), (PATHS[2:], rows[2:])]
    feature_files.write(final, blocks, SOURCE)
    return final


def names(*texts):
    made = Names()
    made.add(*texts)
    return made


def test_rows_of_the_images_go(path):
    gone = names("csv/x/a.jpg", "imagenet/n01_1")
    letters = Path(f"{path}.rejected.jsonl")
    letters.write_text('{"item": "x/a.jpg"}\n{"item": "d.jpg"}\n')
    with pytest.raises(proof.RememberedError):
        proof.prove_features(path, Found(gone))
    assert forget_features(path, gone) == 2
    paths, embeddings = read(path)
    assert paths == ["b.png", "c.jpg"]
    assert feature_files.read_source(path) == SOURCE
    assert embeddings.tolist() == [[4, 5, 6, 7], [12, 13, 14, 15]]
    proof.prove_features(path, Found(gone))
    assert letters.read_text() == '{"item": "d.jpg"}\n'


def test_a_file_without_them_keeps_its_bytes(path):
    before = Path(path).read_bytes()
    assert forget_features(path, names("csv/other.jpg")) == 0
    assert Path(path).read_bytes() == before


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_another_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"other{suffix}"
    path.write_bytes(b"PK\x03\x04 or not")
    with pytest.raises(InputError, match="is no file of features"):
        forget_features(str(path), names("csv/a.jpg"))
