import pytest

from serving.server.adaptive_wait import AdaptiveWait


def test_the_fixed_time_comes_from_a_line_through_the_calls():
    wait = AdaptiveWait()
    for rows in (1, 2, 4, 8, 16) * 20:
        wait.note_call(rows, 0.01 + 0.002 * rows)
    assert wait.fixed_s == pytest.approx(0.01, rel=1e-6)


def test_waiting_pays_while_the_next_comes_sooner_than_it_saves():
    wait = AdaptiveWait()
    for rows in (1, 3) * 50:
        wait.note_call(rows, 0.01 + 0.002 * rows)
    for number in range(400):
        wait.note_request(now=0.004 * number)
    # 4 ms between requests; a call costs 10 ms beside its rows.
    assert wait.seconds(waiting_rows=2) == pytest.approx(0.008, rel=1e-3)
    assert wait.seconds(waiting_rows=3) == 0


def test_before_anything_is_known_nobody_waits():
    assert AdaptiveWait().seconds(waiting_rows=1) == 0
