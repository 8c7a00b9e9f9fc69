import json

import pytest

from beam_jobs.dataset import dataset_folder, records
from beam_jobs.dataset.read_records import read_batches
from beam_jobs.errors import InputError
from model.audit.folds import fold_of, write_fold
from tests.helpers.datasets import file_hashes


def ids_of(dataset, split):
    return {
        image_id: batch.parsed[records.IMAGE_ENCODED].numpy()[i]
        for shard in dataset_folder.shard_paths(dataset, split)
        for batch in read_batches(shard, 8)
        for i, image_id in enumerate(batch.image_ids)
    }


def test_each_image_is_held_out_once(tiny_dataset, tmp_path):
    whole = ids_of(tiny_dataset, "train")
    held_out = []
    for fold in range(3):
        write_fold(tiny_dataset, tmp_path / str(fold), fold, 3)
        train = ids_of(tmp_path / str(fold), "train")
        own = ids_of(tmp_path / str(fold), "validation")
        assert train | own == whole
        assert not train.keys() & own.keys()
        assert all(fold_of(image, 3) == fold for image in own.values())
        held_out += own
    assert sorted(held_out) == sorted(whole)


def test_what_is_there_is_kept_or_refused(tiny_dataset, tmp_path):
    write_fold(tiny_dataset, tmp_path / "fold", 0, 2)
    before = file_hashes(tmp_path)
    write_fold(tiny_dataset, tmp_path / "fold", 0, 2)
    assert file_hashes(tmp_path) == before
    with pytest.raises(InputError, match="folds of another"):
        write_fold(tiny_dataset, tmp_path / "fold", 1, 2)
    manifest = json.loads((tmp_path / "fold" / "manifest.json").read_text())
    assert len(manifest["fingerprint"]) == 64


def test_a_fold_without_images_is_refused(tiny_dataset, tmp_path):
    with pytest.raises(InputError, match="take fewer folds"):
        for fold in range(500):
            write_fold(tiny_dataset, tmp_path / str(fold), fold, 500)
    assert not (tmp_path / "0" / "manifest.json").exists()
