"""Which images a format is compared on."""

from __future__ import annotations

import numpy as np

from serving.formats import check_images
from serving.formats.options import FormatOptions
from serving.formats.parity import as_images


def test_noise_is_always_the_same(small_tagger):
    options = FormatOptions(format="litert", images=40)
    once = list(check_images.batches(small_tagger, options))
    again = list(check_images.batches(small_tagger, options))
    assert [len(batch.pixels) for batch in once] == [32, 8]
    for one, other in zip(once, again, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)
        np.testing.assert_array_equal(one.images, as_images(one.pixels))
        assert one.positive is None
        assert one.pixels.min() < 20 and one.pixels.max() > 235


def test_images_of_a_data_set(small_tagger, squares):
    options = FormatOptions("litert", dataset=str(squares), images=4, sample=9)
    (batch,) = check_images.batches(small_tagger, options)
    assert batch.pixels.shape == (4, 16, 16, 3)
    # Image i of a class of its own, under the root.
    assert batch.positive[0].tolist() == [True, True, False, False, False]
    assert np.abs(as_images(batch.pixels) - batch.images).max() <= 1 / 255
    assert len(check_images.sample(small_tagger, options)) == 9
    assert len(check_images.sample(small_tagger, FormatOptions("litert"))) == 0


def test_pixels_come_back():
    pixels = np.arange(256, dtype=np.uint8)
    assert (check_images.to_pixels(as_images(pixels)) == pixels).all()
