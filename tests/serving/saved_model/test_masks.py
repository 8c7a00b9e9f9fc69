from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from serving.saved_model import masks
from tests.helpers.task_models import mask_of


def whole(logits, height, width):
    return mask_of(tf.constant(logits), height, width).numpy()


@pytest.mark.parametrize("size", [(40, 30), (7, 5), (3, 2), (1, 1), (41, 9)])
@pytest.mark.parametrize("numbers", [1, 500, 2**24])
def test_bands_make_the_mask_of_the_whole(size, numbers, monkeypatch):
    monkeypatch.setattr(masks, "_BAND_NUMBERS", numbers)
    logits = np.random.default_rng(0).normal(size=(5, 4, 6)).astype(np.float32)
    mask, shares = masks.mask_and_shares(tf.constant(logits), *size, mask_of)
    expected = whole(logits, *size)
    np.testing.assert_array_equal(mask, expected)
    counts = np.bincount(expected.ravel(), minlength=6) / expected.size
    np.testing.assert_allclose(shares, counts, atol=1e-7)


def test_no_more_than_a_band_is_held_at_once(monkeypatch):
    monkeypatch.setattr(masks, "_BAND_NUMBERS", 10 * 30 * 6)
    seen = []

    def watched(logits, height, width):
        seen.append((int(height), int(width)))
        return mask_of(logits, height, width)

    logits = tf.zeros([5, 4, 6])
    mask, _ = masks.mask_and_shares(logits, 95, 30, watched)
    assert mask.shape == (95, 30)
    assert seen == [(10, 30)] * 10
