"""Sizes and first frames read in the graph, against Pillow."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from model.inputs import preprocessing
from serving.api import contract
from serving.saved_model.image_headers import first_frame, header_size
from tests.helpers.images import noise_image

HAS_WEBP = hasattr(tf.io, "decode_webp")


@pytest.fixture(scope="module")
def read():
    """The graph, traced once: size and first frame of a file."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def read(encoded):
        return *header_size(encoded), first_frame(encoded)

    return lambda data: [t.numpy() for t in read(tf.constant(data))]


def encode(form: str, size=(31, 53), frames: int = 1, **options) -> bytes:
    rng = np.random.default_rng(frames)
    height, width = size
    images = [
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
        for _ in range(frames)
    ]
    if frames > 1:
        options |= {"save_all": True, "append_images": images[1:]}
    buffer = io.BytesIO()
    images[0].save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("JPEG", {}),
        ("PNG", {}),
        ("GIF", {}),
        ("GIF", {"frames": 3, "duration": 50, "loop": 0}),
        ("BMP", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}),
        ("WEBP", {"size": (300, 1000), "lossless": True}),
    ],
)
def test_size_of_a_file(read, form, options):
    data = encode(form, **options)
    height, width, _ = read(data)
    assert (height, width) == Image.open(io.BytesIO(data)).size[::-1]


def test_no_size(read):
    animated = encode("WEBP", frames=2, duration=50)
    for data in (b"GIF", b"RIFF1234WEBPVP9 " + b"\0" * 20, b"<svg>", animated):
        assert 0 in read(data)[:2]


def test_first_frame_is_the_one_that_training_sees(read):
    data = encode("GIF", frames=4, duration=50, loop=0, comment=b"ab" * 300)
    *_, cut = read(data)
    assert len(cut) < len(data) / 3 and data.startswith(cut[:-1])
    assert Image.open(io.BytesIO(cut)).n_frames == 1
    np.testing.assert_array_equal(
        preprocessing.decode(cut), preprocessing.decode(data)
    )


def test_a_still_gif_and_other_files_stay_as_they_are(read):
    gif, png = encode("GIF"), encode("PNG")
    np.testing.assert_array_equal(
        preprocessing.decode(read(gif)[2]), preprocessing.decode(gif)
    )
    assert read(png)[2] == png


@pytest.mark.parametrize("kept", [13, 400, 801, 900])
def test_a_gif_that_ends_early_has_no_frame(read, kept):
    assert read(encode("GIF")[:kept])[2] == b""


def test_a_gif_of_a_thousand_huge_frames_costs_one(server_run):
    """10 KB that TensorFlow's own reader would unpack to 1 GB."""
    one = encode("GIF", size=(1000, 1000))
    tiny = encode("GIF", size=(1, 1))
    table = 13 + 3 * 2 ** ((tiny[10] & 7) + 1)
    frame = tiny[tiny.index(b"\x2c", table) : -1]
    assert len(frame) < 40
    bomb = one[:-1] + frame * 400 + b"\x3b"
    found = server_run([bomb, one])
    assert found["valid"].all()
    np.testing.assert_allclose(
        found["scores"][0], found["scores"][1], rtol=1e-6
    )


def test_webp_where_tensorflow_reads_it(server_run):
    files = [encode("WEBP"), encode("WEBP", lossless=True), noise_image(1)]
    found = server_run(files)
    assert found["valid"].tolist() == [HAS_WEBP, HAS_WEBP, True]


@pytest.fixture(scope="module")
def server_run(model_base):
    from serving.saved_model.servable import Servable

    servable = Servable(model_base / "1")

    def run(images):
        inputs = {contract.IMAGE_BYTES: np.array(images, object)}
        return servable.run(contract.SCORES, inputs)

    return run
