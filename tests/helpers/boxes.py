"""Images with boxes: drawn rectangles, and photographs of Pascal VOC."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
from PIL import Image

from tests.helpers.shared_data import FOLDER

VOC = FOLDER / "voc2012" / "VOC2012"
# Of what is drawn: pixels, and red and blue.
SIDE, CLASSES = 32, 2


def drawn(count, seed=0):
    """Returns images with a red or a blue rectangle, or with none or both.

    Returns:
        uint8 images, boxes and labels as the detector takes them.
    """
    rng = np.random.default_rng(seed)
    images = rng.integers(80, 120, (count, SIDE, SIDE, 3)).astype(np.uint8)
    boxes = np.zeros((count, 3, 4), np.float32)
    labels = np.full((count, 3), -1, np.int32)
    for i, number in enumerate(rng.integers(0, 3, count)):
        # Side by side, so that none hides the other.
        for place in range(number):
            label = int(rng.integers(CLASSES))
            height, width = rng.integers(6, 14, 2)
            y = int(rng.integers(0, SIDE - height))
            x = 16 * place + int(rng.integers(0, 16 - width))
            images[i, y : y + height, x : x + width] = [
                (230, 30, 30),
                (30, 30, 230),
            ][label]
            boxes[i, place] = np.array([y, x, y + height, x + width]) / SIDE
            labels[i, place] = label
    return images, boxes, labels


def photographs(count, side):
    """Returns images, boxes, labels and the classes of real photographs."""
    names = sorted(VOC.glob("Annotations/*.xml"))[:count]
    images = np.zeros((count, side, side, 3), np.uint8)
    boxes = np.zeros((count, 20, 4), np.float32)
    labels = np.full((count, 20), -1, np.int32)
    classes: dict[str, int] = {}
    for i, path in enumerate(names):
        image = Image.open(VOC / "JPEGImages" / f"{path.stem}.jpg")
        images[i] = np.asarray(image.resize((side, side)))
        objects = ElementTree.parse(path).getroot().findall("object")
        for k, o in enumerate(objects):
            ymin, xmin, ymax, xmax = (
                float(o.findtext(f"bndbox/{edge}"))
                for edge in ("ymin", "xmin", "ymax", "xmax")
            )
            size = [image.height, image.width] * 2
            boxes[i, k] = np.array([ymin - 1, xmin - 1, ymax, xmax]) / size
            index = classes.setdefault(o.findtext("name"), len(classes))
            labels[i, k] = -2 if o.findtext("difficult") == "1" else index
    return images, boxes, labels, len(classes)
