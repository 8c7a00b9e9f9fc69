"""Tests of serving.saved_model.model_card."""

import dataclasses

from model import extension_notes, workdir
from model.checkpoint_files import Best
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
