import signal
import threading

import pytest

from beam_jobs.stop_signals import STOP_SIGNALS, stop_signals_to


def test_both_signals_go_to_the_handler_and_then_where_they_went_before():
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    came = []
    with (
        pytest.raises(RuntimeError),
        stop_signals_to(lambda number, _: came.append(number)),
    ):
        for number in STOP_SIGNALS:
            signal.raise_signal(number)
        raise RuntimeError
    assert came == [signal.SIGTERM, signal.SIGINT]
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before


def test_other_threads_take_no_signals():
    refused = []

    def take():
        try:
            with stop_signals_to(print):
                pass
        except ValueError as error:
            refused.append(error)

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    assert len(refused) == 1
