"""Tests of serving.saved_model.model_card."""

import dataclasses

import numpy as np
import pytest

from model import extension_notes, workdir
from model.checkpoint_files import Best
from model.scores.tagging import Tagging
from model.scores.trained_on import Judge
from serving.saved_model import model_card as model_card_
from serving.saved_model.decoding import ImageLimits
from serving.saved_model.model_card import model_card, training_facts


def test_it_says_which_epoch_and_what_was_extended(tagger, tmp_path):
    plain = model_card(tagger, 5, ImageLimits(), training_facts(tmp_path))
    assert "- best:" not in plain and "- extensions:" not in plain

    best = dataclasses.asdict(Best("f1_at_5", 0.52134, epoch=3, step=30))
    result = {"epochs": 6, "best": best}
    workdir.write_json(tmp_path / workdir.RESULT, result)
    changed = {"schedule.epochs": {"from": 4, "to": 6}}
    note = extension_notes.Note(40, 4, 0, changed, "2026-11-29T09:00:00Z")
    extension_notes.add(tmp_path, note)
    card = model_card(tagger, 5, ImageLimits(), training_facts(tmp_path))
    assert (
        "- epochs: 6\n"
        "- best: the weights are those of epoch 3 (f1_at_5 0.5213) on "
        "validation\n"
        "- extensions: extended after step 40, the end of epoch 4: "
        "schedule.epochs 4 -> 6\n"
    ) in card


@pytest.mark.parametrize(
    ("trained_on", "left_out", "said"),
    [
        ("aa", None, None),
        (
            "bb",
            None,
            "photos, not the one that was trained on; images that were trained "
            "on may be among them",
        ),
        (
            "bb",
            3,
            "photos, not the one that was trained on; 3 images that were "
            "trained on were left out",
        ),
        (
            None,
            None,
            "photos, of which it is not known whether it is the training's; "
            "images that were trained on may be among them",
        ),
    ],
)
def test_a_calibration_says_if_its_data_set_is_another(
    trained_on, left_out, said
):
    judge = Judge("photos", "calibration", "aa", trained_on, left_out)
    summary = {"images": 90, "data_set": judge.to_json()}
    tagging = Tagging(np.ones((1, 2)), np.ones(1), summary)
    lines = model_card_._calibration(tagging).splitlines()
    assert lines == ["- images: 90", *([f"- data set: {said}"] if said else [])]
