import pytest

from beam_jobs.split_names import (
    CALIBRATION,
    SPLITS,
    TEST,
    TRAIN,
    VALIDATION,
    parse_split,
    split_of_file,
    split_of_folders,
)


def test_codes_of_splits_do_not_move():
    # They are in the plans of jobs that are under way.
    assert SPLITS == (TRAIN, VALIDATION, CALIBRATION, TEST)


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("train", TRAIN),
        (" Training ", TRAIN),
        ("VAL", VALIDATION),
        ("dev", VALIDATION),
        ("testing", TEST),
        ("calibration", CALIBRATION),
        ("  ", None),
    ],
)
def test_names_of_splits(text, split):
    assert parse_split(text) == split


def test_another_name_is_none_of_a_split():
    with pytest.raises(ValueError, match="'holdout': one of train, "):
        parse_split("holdout")


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train/dog/1.jpg", TRAIN),
        ("photos/Valid/dog/1.jpg", VALIDATION),
        ("train/test/1.jpg", TRAIN),
        ("dog/train.jpg", None),
        ("trains/1.jpg", None),
    ],
)
def test_folders_of_splits(path, split):
    assert split_of_folders(path) == split


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("a/instances_train2017.json", TRAIN),
        ("lvis_v1_val.json", VALIDATION),
        ("validation-annotations-bbox.csv", VALIDATION),
        ("oidv6-train-annotations-human-imagelabels.csv", TRAIN),
        ("test/_annotations.coco.json", TEST),
        ("train/val.csv", VALIDATION),
        ("labels.csv", None),
        ("training_data/latest.csv", None),
    ],
)
def test_files_of_splits(path, split):
    assert split_of_file(path) == split
