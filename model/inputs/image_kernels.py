"""Compiled loops over pixels: resize, rotation and change of colours.

They hold no lock of Python, so threads work side by side. Not `fastmath`:
the results are those of any processor. Comparisons stand in place of min()
and max(), which care for NaN and are slow.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_JIT: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
# Values of float32 that a register of 256 bits holds.
_LANES = 8
# Of fixed-point coordinates.
_ONE = 1 << 16
# Of packed pixels: of their weights, and from one value to the next. 8 bits of
# a value times weights of 12 in all are 20: three lanes fill a word of 64.
_BITS, _LANE = np.uint64(12), np.uint64(21)
_HALVES = np.uint64(sum(1 << (11 + 21 * c) for c in range(3)))


@numba.njit(**_JIT)
def resize(image, box, flip, out, scratch):
    """Resizes a part of an image to the shape of `out`, antialiased.

    The triangle filter of `tf.image.resize` with `antialias`, to one level:
    each direction is rounded once.

    Args:
        image: uint8 [height, width, 3].
        box: top, left, height and width of the part, at least one pixel.
        flip: mirrors left and right.
        out: uint8 [height, width, 3], contiguous.
        scratch: uint8, of at least `resize_scratch` values.
    """
    top, left, height, width = box
    rows, columns, _ = out.shape
    # Whole rows are mixed, which processors do 8 values at a time; turned
    # over, columns are rows.
    size, last = rows * width * 3, rows * columns * 3
    low = scratch[:size].reshape(rows, width * 3)
    small = scratch[:last].reshape(columns, rows * 3)
    start = max(size, last)
    turned = scratch[start : start + size].reshape(width, rows * 3)
    first, weights = _weights(height, rows)
    flat = image.reshape(image.shape[0], image.shape[1] * 3)
    _mix_rows(flat, top + first, weights, 3 * left, low)
    _turn_over(low, turned)
    first, weights = _weights(width, columns)
    if flip:
        first, weights = first[::-1].copy(), weights[::-1].copy()
    _mix_rows(turned, first, weights, 0, small)
    _turn_over(small, out.reshape(rows, columns * 3))


@numba.njit(**_JIT)
def rotate(image, angle, out, scratch):
    """Turns around the centre, bilinear; black comes from outside.

    Args:
        image: uint8 [height, width, 3], contiguous.
        angle: radians, anticlockwise.
        out: uint8 like `image`, contiguous.
        scratch: uint64, of at least as many values as there are pixels.
    """
    height, width, _ = image.shape
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    cos, sin = np.cos(angle) * _ONE, np.sin(angle) * _ONE
    end_y, end_x = (height - 1) * _ONE, (width - 1) * _ONE
    step_x, step_y = round(cos), round(sin)
    _pack(image.reshape(-1, 3), scratch)
    for row in range(height):
        # Fixed-point: an integer addition leads on to the next pixel.
        x = round(middle_x * _ONE - cos * middle_x - sin * (row - middle_y))
        y = round(middle_y * _ONE - sin * middle_x + cos * (row - middle_y))
        # A line meets the image in one stretch; the rest has less to mix.
        first, end = 0, width
        while first < end and not _is_inside(x, y, end_x, end_y):
            _blend_border(image, y / _ONE, x / _ONE, out[row, first])
            x, y, first = x + step_x, y + step_y, first + 1
        last_x = x + (end - 1 - first) * step_x
        last_y = y + (end - 1 - first) * step_y
        while first < end and not _is_inside(last_x, last_y, end_x, end_y):
            end -= 1
            _blend_border(image, last_y / _ONE, last_x / _ONE, out[row, end])
            last_x, last_y = last_x - step_x, last_y - step_y
        target = out[row, first:end].reshape(-1)
        for column in range(end - first):
            mixed = _blend_inside(scratch, width, y, x)
            target[3 * column] = np.uint8(mixed >> _BITS)
            target[3 * column + 1] = np.uint8(mixed >> (_BITS + _LANE))
            target[3 * column + 2] = np.uint8(mixed >> (_BITS + 2 * _LANE))
            x, y = x + step_x, y + step_y


@numba.njit(inline="always", **_JIT)
def _is_inside(x, y, end_x, end_y):
    return 0 <= x < end_x and 0 <= y < end_y


@numba.njit(**_JIT)
def _pack(pixels, packed):
    """Puts a pixel's three values into one number: they are mixed at once."""
    for i in range(len(pixels)):
        green = np.uint64(pixels[i, 1]) << _LANE
        blue = np.uint64(pixels[i, 2]) << (2 * _LANE)
        packed[i] = np.uint64(pixels[i, 0]) | green | blue


@numba.njit(inline="always", **_JIT)
def _blend_inside(packed, width, y, x):
    """Returns the mean of four pixels, packed, times 2 ** _BITS."""
    low, right = (y & (_ONE - 1)) >> 4, (x & (_ONE - 1)) >> 4
    both = (low * right) >> 12
    # Unsigned: signed indices may count from the end, which has to be asked.
    one, stride = np.uintp(1), np.uintp(width)
    at = np.uintp(y >> 16) * stride + np.uintp(x >> 16)
    # The weights sum up to 2 ** _BITS: no lane overflows into the next.
    mixed = _HALVES + np.uint64(4096 - low - right + both) * packed[at]
    mixed += np.uint64(right - both) * packed[at + one]
    mixed += np.uint64(low - both) * packed[at + stride]
    return mixed + np.uint64(both) * packed[at + stride + one]


@numba.njit(**_JIT)
def _blend_border(image, y, x, out):
    if not (-1 < y < image.shape[0] and -1 < x < image.shape[1]):
        out[:] = 0
        return
    top, left = int(np.floor(y)), int(np.floor(x))
    low, right = y - top, x - left
    for c in range(3):
        a = _or_black(image, top, left, c)
        b = _or_black(image, top + 1, left, c)
        a += right * (_or_black(image, top, left + 1, c) - a)
        b += right * (_or_black(image, top + 1, left + 1, c) - b)
        out[c] = np.uint8(a + low * (b - a) + 0.5)


@numba.njit(**_JIT)
def recolour(
    pixels, brightness, saturation, hue, contrast, contrast_last, scratch
):
    """Changes colours in place, by the formulas of `tf.image`.

    Saturation and hue are changed in HSV, exactly, not by a matrix in YIQ
    (https://en.wikipedia.org/wiki/HSL_and_HSV). Values are clipped once, at
    the end.

    Args:
        pixels: uint8 [pixels, 3], RGB.
        brightness: added first, to values of 0 to 1.
        saturation, contrast: factors.
        hue: added, in turns of the colour circle.
        contrast_last: after saturation and hue, not before them.
        scratch: float32, of at least as many values as the pixels have.
    """
    count = len(pixels)
    planes = scratch[: 3 * count].reshape(3, count)
    _part(pixels.reshape(-1), planes[0], planes[1], planes[2])
    gain, shift = np.full(3, 1 / 255), np.full(3, brightness)
    if not contrast_last:
        for c in range(3):
            mean = _mean(planes[c]) / 255 + brightness
            shift[c] = brightness * contrast + mean * (1 - contrast)
        gain *= contrast
    _tint(planes, gain, shift, np.float32(saturation), np.float32(6 * hue))
    gain, shift = np.ones(3), np.zeros(3)
    if contrast_last:
        for c in range(3):
            shift[c] = _mean(planes[c]) * (1 - contrast)
        gain *= contrast
    for c in range(3):
        _quantize(planes[c], np.float32(gain[c]), np.float32(shift[c]))
    _join(planes[0], planes[1], planes[2], pixels.reshape(-1))


@numba.njit(**_JIT)
def _part(pixels, red, green, blue):
    for i in range(len(red)):
        red[i] = np.float32(pixels[3 * i])
        green[i] = np.float32(pixels[3 * i + 1])
        blue[i] = np.float32(pixels[3 * i + 2])


@numba.njit(**_JIT)
def _join(red, green, blue, pixels):
    for i in range(len(red)):
        pixels[3 * i] = np.uint8(red[i])
        pixels[3 * i + 1] = np.uint8(green[i])
        pixels[3 * i + 2] = np.uint8(blue[i])


@numba.njit(**_JIT)
def resize_scratch(box, out):
    """Returns how much memory `resize` needs."""
    rows, columns, width = out.shape[0], out.shape[1], box[3]
    return (max(width, columns) + width) * rows * 3


@numba.njit(**_JIT)
def _weights(size_in, size_out):
    """Returns the first input of every output; its and the next weights.

    The weights are float32 [outputs, taps], an even number of taps.
    """
    scale = size_in / size_out
    reach = max(scale, 1.0)
    first = np.empty(size_out, np.int64)
    weights = np.zeros((size_out, 2 * int(np.ceil(reach + 0.5))), np.float32)
    for o in range(size_out):
        centre = (o + 0.5) * scale - 0.5
        low = max(int(np.ceil(centre - reach)), 0)
        high = min(int(np.floor(centre + reach)), size_in - 1)
        total = 0.0
        for i in range(low, high + 1):
            total += max(1.0 - abs(i - centre) / reach, 0.0)
        for i in range(low, high + 1):
            weight = max(1.0 - abs(i - centre) / reach, 0.0)
            weights[o, i - low] = weight / total
        first[o] = low
    return first, weights


@numba.njit(**_JIT)
def _mix_rows(rows, first, weights, left, out):
    """Makes every row of `out` the weighted mean of parts of some `rows`."""
    last, width, taps = len(rows) - 1, out.shape[1], weights.shape[1]
    mixed = np.empty(width, np.float32)
    for o in range(len(out)):
        mixed[:] = np.float32(0.5)
        for tap in range(0, taps, 2):
            w, v = weights[o, tap], weights[o, tap + 1]
            if w == 0 and v == 0:
                continue
            a = rows[min(first[o] + tap, last), left : left + width]
            b = rows[min(first[o] + tap + 1, last), left : left + width]
            for i in range(width):
                mixed[i] += w * np.float32(a[i]) + v * np.float32(b[i])
        target = out[o]
        for i in range(width):
            target[i] = np.uint8(mixed[i])


@numba.njit(**_JIT)
def _turn_over(image, out):
    """Swaps rows and columns of [rows, 3 * columns], a few rows at a time."""
    rows, columns = image.shape[0], image.shape[1] // 3
    for start in range(0, rows, _LANES):
        end = min(start + _LANES, rows)
        for x in range(columns):
            target = out[x]
            for y in range(start, end):
                target[3 * y] = image[y, 3 * x]
                target[3 * y + 1] = image[y, 3 * x + 1]
                target[3 * y + 2] = image[y, 3 * x + 2]


@numba.njit(**_JIT)
def _or_black(image, y, x, channel):
    if 0 <= y < image.shape[0] and 0 <= x < image.shape[1]:
        return float(image[y, x, channel])
    return 0.0


@numba.njit(**_JIT)
def _mean(values):
    """Sums in lanes: in one, every addition waits for the one before."""
    sums = np.zeros(_LANES, np.float64)
    whole = len(values) // _LANES * _LANES
    for start in range(0, whole, _LANES):
        for lane in range(_LANES):
            sums[lane] += values[start + lane]
    return (sums.sum() + values[whole:].sum()) / len(values)


@numba.njit(**_JIT)
def _tint(planes, gain, shift, saturation, turn):
    """Changes saturation and hue (6 is one turn) of gain * x + shift."""
    zero, one, two = np.float32(0), np.float32(1), np.float32(2)
    three, four, five = np.float32(3), np.float32(4), np.float32(5)
    tiny = np.float32(1e-20)
    red, green, blue = planes[0], planes[1], planes[2]
    factor, add = np.float32(gain[0]), shift.astype(np.float32)
    add_r, add_g, add_b = add[0], add[1], add[2]
    for i in range(len(red)):
        r = red[i] * factor + add_r
        g = green[i] * factor + add_g
        b = blue[i] * factor + add_b
        top = r if r > g else g
        top = top if top > b else b
        low = r if r < g else g
        low = low if low < b else b
        span = top - low
        per_span = one / (span if span > tiny else tiny)
        from_blue = (r - g) * per_span + four
        hue = (b - r) * per_span + two if top == g else from_blue
        hue = (g - b) * per_span if top == r else hue
        hue += turn
        # A saturation of at most 1 means a span of at most the top.
        span = saturation * span
        span = span if span < top else top
        span = span if span > zero else zero
        red[i] = top - span * _fall(hue + five)
        green[i] = top - span * _fall(hue + three)
        blue[i] = top - span * _fall(hue + one)


@numba.njit(inline="always", **_JIT)
def _fall(at):
    """Returns how far a channel is from the top, 0 to 1, at a hue."""
    four, six = np.float32(4), np.float32(6)
    at = at - six * np.floor(at / six)
    fall = at if at < four - at else four - at
    fall = fall if fall < np.float32(1) else np.float32(1)
    return fall if fall > np.float32(0) else np.float32(0)


@numba.njit(**_JIT)
def _quantize(values, gain, shift):
    """Makes gain * x + shift levels of 0 to 255, and 0.5 for rounding."""
    zero, most, half = np.float32(0), np.float32(1), np.float32(0.5)
    for i in range(len(values)):
        value = values[i] * gain + shift
        value = value if value > zero else zero
        value = value if value < most else most
        values[i] = value * np.float32(255) + half
