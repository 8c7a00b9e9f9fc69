"""Raw sources as they are downloaded, small, with and without defects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.helpers.images import noise_image
from tests.helpers.tars import write_tar

DOG, CAT, APPLE = "n02084071", "n02121620", "n07739125"
OPEN_IMAGES_LABELS = "train-annotations-{}-imagelabels.csv"
OPEN_IMAGES_HEADER = "ImageID,Source,LabelName,Confidence"
OPEN_IMAGES_CLASSES = "class-descriptions.csv"
OPEN_IMAGES_ROTATIONS = "train-images-with-labels-with-rotation.csv"


def write_imagenet(folder: Path, wnids: Iterable[str], images: int) -> None:
    """Writes a tar for each class; image i of class n has seed 100 n + i."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, wnid in enumerate(wnids):
        members = {
            f"{wnid}_{i}.JPEG": noise_image(100 * number + i)
            for i in range(images)
        }
        write_tar(folder / f"{wnid}.tar", members)


def write_open_images(
    folder: Path,
    images: Mapping[str, bytes],
    classes: Mapping[str, str],
    **rows: Iterable[str],
) -> None:
    """Writes images, the names of classes, and rows of each kind of label."""
    for name, data in images.items():
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    names = [f"{label},{name}" for label, name in classes.items()]
    _write_lines(folder / OPEN_IMAGES_CLASSES, "LabelName,DisplayName", names)
    for kind, lines in rows.items():
        path = folder / OPEN_IMAGES_LABELS.format(kind)
        _write_lines(path, OPEN_IMAGES_HEADER, lines)


def _write_lines(path: Path, header: str, lines: Iterable[str]) -> None:
    path.write_text("\n".join([header, *lines]) + "\n")


def write_defective_open_images(folder: Path) -> None:
    """Writes an Open Images folder with every defect; two images are good."""
    images = {
        "good.jpg": noise_image(1000),
        "turned.png": noise_image(1001, form="PNG"),
        "cut.jpg": noise_image(1002)[:-99],
        "page.jpg": b"<html>not found</html>",
        "empty.jpg": b"",
        "twice.jpg": noise_image(1003),
        "more/twice.jpg": noise_image(1004),
        "unlabelled.jpg": noise_image(1005),
        "other.jpg": noise_image(1006),
    }
    classes = {
        **{"/m/d": "Dog", "/m/c": "Cat", "/m/a": "Apple"},
        "/m/x": "---",
    }
    labelled = ("good", "turned", "cut", "page", "empty", "twice", "gone")
    rows = [f"{name},verification,/m/d,1" for name in labelled]
    rows += [
        "good,verification,/m/c,0",
        "good,verification,/m/a,1",
        "other,verification,/m/x,1",
        "good,verification,/m/d,often",
    ]
    write_open_images(folder, images, classes, human=rows)
    _write_lines(
        folder / OPEN_IMAGES_ROTATIONS,
        "ImageID,Rotation",
        ["good,0.0", "turned,90.0"],
    )
