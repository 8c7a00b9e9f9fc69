import numpy as np
import pytest

from beam_jobs.data_gate import check as data_gate
from beam_jobs.data_gate.options import DataGateOptions
from beam_jobs.data_gate.summary import DataSummary
from beam_jobs.dataset.manifest import Manifest


def summary(images, **classes):
    names = {wnid: wnid.upper() for wnid in classes}
    return DataSummary("digest", images, classes, names)


def manifest(**changes):
    values = {
        "format_version": 2,
        "fingerprint": "digest",
        "request": "",
        "options": {},
        "classes": {},
        "images": {"in": 100, "out": 96, "rejected": 4},
        "rejected": {"broken_image": 4},
        "splits": {"train": {"images": 80}, "validation": {"images": 16}},
        "moved": {},
    }
    return Manifest(**values | changes)


@pytest.fixture
def check(monkeypatch):
    def run(now, before=None, options=None, **changes):
        monkeypatch.setattr(
            DataSummary, "of_dataset", classmethod(lambda *_: now)
        )
        monkeypatch.setattr(
            Manifest, "load", classmethod(lambda *_: manifest(**changes))
        )
        return data_gate.check("dataset", before, options)

    return run


def test_z_of_shares_by_hand():
    # (70/100 - 50/100) / sqrt(0.6 * 0.4 * 2/100)
    z = data_gate.two_proportion_z(
        np.array([50, 100]), 100, np.array([70, 100]), 100
    )
    assert z == pytest.approx([0.2 / np.sqrt(0.0048), 0])


def test_a_lost_class_is_named(check):
    before = summary(1000, dog=10, rare=9, cat=500)
    found = check(summary(1000, cat=500, rare=0, dog=0), before)
    assert not found.accepted
    assert [c.wnid for c in found.lost] == ["dog"]
    assert "1 classes are lost: DOG (10 -> 0" in found.reasons[0]


def test_a_class_that_left_the_vocabulary_is_lost(check):
    found = check(summary(100, cat=50), summary(100, cat=50, dog=50))
    assert [c.wnid for c in found.lost] == ["dog"]


def test_noise_is_accepted_and_a_move_is_not(check):
    before = summary(10_000, dog=300, cat=5000)
    assert check(summary(10_000, dog=340, cat=5050), before).accepted
    moved = check(summary(10_000, dog=450, cat=5000), before)
    assert [c.wnid for c in moved.moved] == ["dog"]
    assert moved.moved[0].z == pytest.approx(5.58, abs=0.01)
    wider = DataGateOptions(max_z=6)
    assert check(summary(10_000, dog=450, cat=5000), before, wider).accepted


def test_new_classes_are_no_change(check):
    found = check(summary(100, cat=50, new=40), summary(100, cat=50))
    assert found.accepted


def test_the_first_data_is_judged_alone(check):
    assert check(summary(96, cat=50)).accepted
    images = {"in": 478, "out": 176, "rejected": 302}
    found = check(summary(176, cat=50), images=images)
    assert (
        "302 of 478 images are rejected (63.2%; at most 5.0%)"
        in (found.reasons[0])
    )
    assert "4 x broken_image" in found.reasons[0]


def test_a_split_without_images(check):
    found = check(summary(80, cat=50), splits={"train": {"images": 80}})
    assert found.reasons == ("the split validation has no images",)


def test_near_duplicates_across_splits(check):
    kept = {"without_split": 0, "copies": 1, "near_duplicates": 2}
    found = check(summary(96, cat=50), kept_splits=kept)
    assert found.reasons[0].startswith("3 of 16 images outside train have")
