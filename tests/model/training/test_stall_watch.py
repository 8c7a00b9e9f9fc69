"""Tests of the end of a training that hangs."""

import threading

from model.training.stall_watch import StallWatch


class Seconds:
    """Seconds that pass, and what happens in them."""

    def __init__(self, happenings):
        self.happenings = iter(happenings)

    def wait(self, seconds):
        assert seconds == 1
        happening = next(self.happenings, "over")
        if callable(happening):
            happening()
        return happening == "over"


def statuses(happenings, seconds=3.0):
    """Returns what a watch ends a process with."""
    ended = []
    watch = StallWatch(1, seconds, ended.append)
    watch._watch(Seconds(h(watch) if h else None for h in happenings))
    return ended


def step(watch):
    return lambda: watch.on_train_batch_end(0, {"loss": 1.0})


def look(watch):
    return lambda: watch.on_test_batch_end(0, {"loss": 1.0})


def test_no_step_for_too_long(capsys):
    assert statuses([step, None, None, None, step]) == [75]
    said = capsys.readouterr().err
    assert said.startswith("error: no step of worker 1 has ended for 3 s: it")
    assert said.count("\n") == 1


def test_steps_and_looks_at_validation_go_on():
    assert statuses([None, step, None, look] * 5) == []


def test_it_can_be_switched_off():
    watch = StallWatch(1, 0.0, lambda status: 1 / 0)
    with watch.watching():
        watch.on_epoch_begin(0)


def test_a_thread_ends_the_process():
    ended = threading.Event()
    watch = StallWatch(1, 0.5, lambda status: ended.set())
    with watch.watching():
        assert ended.wait(60)
