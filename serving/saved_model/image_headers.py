"""What image files say of themselves, read in the graph before decoding."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

# Beyond, a GIF's first frame is not looked for: 2 MB of it.
_MAX_GIF_BLOCKS = 8192
_GIF_HEADER = 13
_GIF_END = b"\x3b"
_EXTENSION, _IMAGE = 0x21, 0x2C

Size = tuple[tf.Tensor, tf.Tensor]


def header_size(encoded: tf.Tensor) -> Size:
    """Reads height and width (int32) without decoding.

    Args:
        encoded: scalar string: JPEG, PNG, GIF, BMP or WebP; what is cut within
            its header raises.

    Returns:
        0, 0 for anything else, and for animated WebP, of which TensorFlow
        would unpack every frame.
    """
    cases = [
        (starts_with(encoded, magic), _bound(read, encoded))
        for magic, read in _READERS
    ]
    zero = tf.constant(0)
    return tf.case(cases, default=lambda: (zero, zero))


def first_frame(encoded: tf.Tensor) -> tf.Tensor:
    """Cuts a GIF behind its first frame; other files stay as they are.

    TensorFlow unpacks all frames of a GIF before it returns the first, each
    in the size of the whole screen, however small the file.

    Args:
        encoded: scalar string.

    Returns:
        Scalar string; empty if a GIF has no first frame that ends.
    """
    return tf.cond(
        starts_with(encoded, b"GIF8"),
        lambda: _cut_gif(encoded),
        lambda: tf.identity(encoded),
    )


def starts_with(encoded: tf.Tensor, magic: bytes) -> tf.Tensor:
    """Returns whether a scalar string starts with some bytes."""
    return tf.strings.substr(encoded, 0, len(magic)) == magic


def _bound(read: Callable[[tf.Tensor], Size], encoded: tf.Tensor):
    return lambda: read(encoded)


def _jpeg(encoded: tf.Tensor) -> Size:
    shape = tf.image.extract_jpeg_shape(encoded)
    return shape[0], shape[1]


def _png(encoded: tf.Tensor) -> Size:
    # https://www.w3.org/TR/png-3/#11IHDR: width, height, big-endian.
    raw = tf.strings.substr(encoded, 16, 8)
    values = tf.io.decode_raw(raw, tf.int32, little_endian=False)
    return values[1], values[0]


def _bmp(encoded: tf.Tensor) -> Size:
    # BITMAPINFOHEADER: width, height, little-endian; a negative height means
    # rows from the top.
    raw = tf.strings.substr(encoded, 18, 8)
    values = tf.io.decode_raw(raw, tf.int32)
    return tf.abs(values[1]), values[0]


def _gif(encoded: tf.Tensor) -> Size:
    # https://www.w3.org/Graphics/GIF/spec-gif89a.txt, 18: width, height of
    # the screen.
    raw = tf.strings.substr(encoded, 6, 4)
    values = tf.cast(tf.io.decode_raw(raw, tf.uint16), tf.int32)
    return values[1], values[0]


def _webp(encoded: tf.Tensor) -> Size:
    # https://developers.google.com/speed/webp/docs/riff_container
    values = _bytes(tf.strings.substr(encoded, 0, 30))

    def number(start: int, count: int) -> tf.Tensor:
        powers = tf.constant([256**i for i in range(count)])
        return tf.reduce_sum(values[start : start + count] * powers)

    def lossy() -> Size:
        return number(28, 2) % 2**14, number(26, 2) % 2**14

    def lossless() -> Size:
        packed = number(21, 3) + values[24] % 16 * 2**24
        return packed // 2**14 + 1, packed % 2**14 + 1

    def extended() -> Size:
        # Bit 1 of the flags says animated.
        is_still = 1 - values[20] // 2 % 2
        height, width = number(27, 3) + 1, number(24, 3) + 1
        return is_still * height, is_still * width

    kinds = ((b"VP8 ", lossy), (b"VP8L", lossless), (b"VP8X", extended))
    kind = tf.strings.substr(encoded, 12, 4)
    zero = tf.constant(0)
    return tf.case(
        [(kind == name, read) for name, read in kinds],
        default=lambda: (zero, zero),
    )


_READERS = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"GIF8", _gif),
    (b"BM", _bmp),
    (b"RIFF", _webp),
)


def _bytes(encoded: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.io.decode_raw(encoded, tf.uint8), tf.int32)


def _cut_gif(encoded: tf.Tensor) -> tf.Tensor:
    data = tf.io.decode_raw(encoded, tf.uint8)
    last = tf.size(data) - 1

    def byte(place: tf.Tensor) -> tf.Tensor:
        return tf.cast(data[tf.minimum(place, last)], tf.int32)

    def table(flags: tf.Tensor) -> tf.Tensor:
        # Bytes of a colour table: present?, and 3 * 2^(size + 1).
        return flags // 128 * 3 * 2 ** (flags % 8 + 1)

    def step(place, in_blocks, is_image):
        """Passes one block: (place, inside an image or extension, image)."""
        found = byte(place)
        starts_image = found == _IMAGE
        # An image has a descriptor of 10 bytes, the last of them flags, its
        # colours, and a byte for LZW; an extension has 2 bytes. Blocks of
        # data follow, each behind its length, the last of length 0.
        image_start = 11 + table(byte(place + 9))
        start = tf.where(starts_image, image_start, 2)
        return (
            place + tf.where(in_blocks, found + 1, start),
            tf.where(in_blocks, found > 0, True),
            tf.where(in_blocks, is_image, starts_image),
        )

    def goes_on(place, in_blocks, is_image):
        known = (byte(place) == _IMAGE) | (byte(place) == _EXTENSION)
        is_over = is_image & ~in_blocks
        return (place <= last) & ~is_over & (in_blocks | known)

    # The flags of the screen are the 11th byte of the header.
    start = _GIF_HEADER + table(byte(tf.constant(10)))
    end, in_blocks, is_image = tf.while_loop(
        goes_on,
        step,
        (start, tf.constant(False), tf.constant(False)),
        maximum_iterations=_MAX_GIF_BLOCKS,
    )
    whole = is_image & ~in_blocks & (end <= last + 1)
    frame = tf.strings.substr(encoded, 0, end) + _GIF_END
    return tf.where(whole, frame, "")
