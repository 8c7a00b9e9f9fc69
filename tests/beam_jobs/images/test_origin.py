import pytest

from beam_jobs.images.origin import Origin, make_origin


def test_what_is_not_known_is_empty():
    assert make_origin("CC0", None, 3) == Origin("CC0", "", "")


@pytest.mark.parametrize("texts", [(), ("", " \n"), (None, 1.0)])
def test_nothing_known_is_none(texts):
    assert make_origin(*texts) is None


def test_texts_from_outside_become_one_short_line_of_sound_text():
    origin = make_origin("a\t b\n", "\ud83d", "x" * 2000)
    assert origin == Origin("a b", "?", "x" * 1000)
