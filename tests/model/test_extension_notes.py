"""Tests of model.extension_notes."""

from model import extension_notes
from model.checkpoint_files import Position
from model.extension_notes import Note


def note(step, epochs=4, **fields):
    changed = {"schedule.epochs": {"from": 2, "to": epochs}}
    return Note(step, 2, 0, changed, "2026-11-29T09:00:00Z", **fields)


def test_notes_stay_and_none_is_there_twice(tmp_path):
    assert extension_notes.load(tmp_path) == []
    first = note(6, weights="model-epoch-2.weights.h5", result={"epochs": 2})
    second = note(6, epochs=5)
    for one in (first, first, second):
        extension_notes.add(tmp_path, one)
    assert extension_notes.load(tmp_path) == [first, second]
    assert str(first) == (
        "extended after step 6, the end of epoch 2: schedule.epochs 2 -> 4"
    )


def test_they_begin_where_the_training_goes_on(tmp_path):
    extension_notes.add(tmp_path, note(3))
    extension_notes.add(tmp_path, note(6))
    beginning = extension_notes.beginning
    assert beginning(tmp_path, Position(6, 2)) == [note(6)]
    assert beginning(tmp_path, Position(9, 3)) == []
    # The checkpoint of step 6 is damaged: it is step 5 again.
    where = Position(5, 1, 2)
    [found] = beginning(tmp_path, where)
    assert (found.step, found.epoch, found.batch) == (5, 1, 2)
    assert extension_notes.load(tmp_path)[1] == note(6)
    extension_notes.settle(tmp_path, where)
    assert extension_notes.load(tmp_path) == [note(3), found]
