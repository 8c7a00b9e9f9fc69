import dataclasses

import numpy as np
import pytest

from beam_jobs.images import quick_look as module
from beam_jobs.images.quick_look import Look, quick_look
from tests.helpers.images import encode, noise_image


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "GIF"])
def test_light_and_size_of_every_format(form):
    halves = np.zeros((32, 64, 3), np.uint8)
    halves[:, 32:] = 200
    found = quick_look(encode(halves, form))
    assert (found.height, found.width) == (32, 64)
    # Half of the pixels at 0, half at 200.
    assert found.brightness == pytest.approx(100, abs=1)
    assert found.contrast == pytest.approx(100, abs=1)


def test_a_brighter_image_is_brighter():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 100, (64, 64, 3), np.uint8)
    dark, light = (quick_look(encode(p, "JPEG")) for p in (pixels, pixels + 99))
    assert light.brightness - dark.brightness == pytest.approx(99, abs=2)


@pytest.mark.parametrize("content", [b"", b"no image", b"\xff\xd8\xff\xe0"])
def test_what_is_no_image_has_its_bytes(content):
    assert quick_look(content) == Look(len(content))


def test_a_cut_image_has_its_size():
    whole = noise_image(0, (40, 50))
    for form, cut in (("JPEG", whole[:-500]), ("PNG", None)):
        data = cut or noise_image(0, (40, 50), form)[:-500]
        found = quick_look(data)
        assert (found.height, found.width) == (40, 50)
        assert found.bytes == len(data)


@pytest.mark.parametrize(
    ("limit", "form"),
    [
        ("_MOST_BYTES", "JPEG"),
        ("_MOST_JPEG_PIXELS", "JPEG"),
        ("_MOST_OTHER_PIXELS", "PNG"),
    ],
)
def test_large_images_are_not_decoded(monkeypatch, limit, form):
    monkeypatch.setattr(module, limit, 100)
    found = quick_look(noise_image(0, (40, 50), form))
    assert (found.height, found.width) == (40, 50)
    assert found.brightness is None
    fields = [f.name for f in dataclasses.fields(Look)]
    assert fields == ["bytes", "height", "width", "brightness", "contrast"]
