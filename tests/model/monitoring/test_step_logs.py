import pytest

from model.monitoring.step_logs import StepCounter


def epoch(counter, first, steps, a_call):
    """Tells of an epoch as Keras does, which names a call's last step."""
    counter.on_epoch_begin(0)
    for start in range(first, steps, a_call):
        counter.on_train_batch_begin(start)
        counter.on_train_batch_end(min(start + a_call, steps) - 1)


@pytest.mark.parametrize("a_call", [1, 3])
def test_steps_of_a_run_that_begins_within_an_epoch(a_call):
    counter = StepCounter()
    epoch(counter, first=4, steps=10, a_call=a_call)
    assert (counter.earlier_steps, counter.epoch_steps) == (4, 6)
    epoch(counter, first=0, steps=10, a_call=a_call)
    assert (counter.earlier_steps, counter.epoch_steps) == (0, 10)
    assert counter.run_steps == 16
