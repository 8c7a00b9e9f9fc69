from __future__ import annotations

import threading
import time

import pytest

from serving.client.batches import BatchLimits, cut, stream
from serving.client.load_images import LoadedImage


def names(batch):
    return [image.name for image in batch]


def image(number: int) -> LoadedImage:
    return LoadedImage(str(number), b"123456")


def test_cut():
    limits = BatchLimits(images=3, size=12)
    images = [b"a" * 6, b"b" * 6, b"c" * 30, b"d", b"e", b"f", b"g"]
    assert list(cut(images, limits, len)) == [
        images[:2],
        images[2:3],
        images[3:6],
        images[6:],
    ]
    assert list(cut([], limits, len)) == []
    # One image is never over a limit: the server has the last word.
    limits.halve([b"a" * 2])
    assert (limits.images, limits.size) == (1, 1)
    assert list(cut([b"ab", b"c"], limits, len)) == [[b"ab"], [b"c"]]


def test_order_is_kept_and_little_is_taken_ahead():
    taken, ahead, sent = [0], [], []

    def items():
        for number in range(500):
            taken[0] += 1
            yield image(number)

    def send(batch):
        sent.append(len(batch))
        time.sleep(0.02 if int(batch[0].name) % 20 else 0.06)
        return names(batch)

    limits = BatchLimits(images=10)
    found = []
    for name in stream(items(), lambda i: i, send, limits, parallel=3):
        ahead.append(taken[0] - len(found))
        found.append(name)
    assert found == [str(n) for n in range(500)]
    assert sent == [10] * 50
    assert max(ahead) <= 110


@pytest.mark.parametrize("wait_in", ["items", "load"])
def test_what_is_there_goes_without_the_rest(wait_in):
    go_on = threading.Event()

    def items():
        for number in range(6):
            if wait_in == "items" and number == 4:
                assert go_on.wait(10)
            yield image(number)

    def load(item):
        if wait_in == "load" and item.name == "4":
            assert go_on.wait(10)
        return item

    found = stream(items(), load, names, BatchLimits(), parallel=2)
    assert [next(found) for _ in range(4)] == list("0123")
    go_on.set()
    assert list(found) == ["4", "5"]


def test_errors_come_after_what_was_before():
    def items():
        yield image(1)
        raise RuntimeError("no more after shutdown")

    def send(batch):
        if "3" in names(batch):
            raise ValueError("three")
        return names(batch)

    one = BatchLimits(images=1)
    found = stream(items(), lambda i: i, send, one, 2)
    assert next(found) == "1"
    with pytest.raises(RuntimeError, match="no more"):
        next(found)
    found = stream(map(image, range(9)), lambda i: i, send, one, 2)
    assert [next(found) for _ in range(3)] == list("012")
    with pytest.raises(ValueError, match="three"):
        next(found)
