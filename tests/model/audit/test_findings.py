import io

import numpy as np
import pytest
from PIL import Image

from model.audit.findings import Picture, save_pictures, shrink


def encoded(mode, size, form="PNG"):
    out = io.BytesIO()
    Image.new(mode, size).save(out, form)
    return out.getvalue()


@pytest.mark.parametrize(
    ("mode", "size", "expected"),
    [
        ("RGB", (600, 300), (256, 128)),
        ("L", (20, 30), (20, 30)),
        ("RGBA", (10, 1000), (3, 256)),
    ],
)
def test_pictures_are_small_jpegs(mode, size, expected):
    with Image.open(io.BytesIO(shrink(encoded(mode, size)))) as image:
        assert image.format == "JPEG"
        assert np.allclose(image.size, expected, atol=1)


def test_pictures_are_saved_by_name(tmp_path):
    save_pictures([Picture("a.jpg", b"1"), Picture("b.jpg", b"2")], tmp_path)
    assert (tmp_path / "b.jpg").read_bytes() == b"2"
