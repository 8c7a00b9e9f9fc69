"""Tests of the embeddings of images and of what is alike."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from beam_jobs.errors import InputError
from model.features import extract, feature_files
from model.features import similar as similar_images
from model.features.feature_files import Source
from model.inputs import preprocessing
from model.network.load_tagger import load_tagger
from model.network.options import BatchOptions
from model.training.train import train
from tests.helpers.commands import run
from tests.helpers.features import read
from tests.helpers.teams import together

SOURCE = Source("/somewhere", "ab12")


@pytest.fixture(name="workdir", scope="module")
def fixture_workdir(tmp_path_factory, tiny_dataset, tiny_config):
    """Returns a training."""
    folder = tmp_path_factory.mktemp("features") / "run"
    train(tiny_config(epochs=1), tiny_dataset, folder)
    return folder


@pytest.fixture(name="folder", scope="module")
def fixture_folder(tmp_path_factory):
    """Returns a folder of five images, one of them broken, and a text."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "sub").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (24, 20, 3), np.uint8)
    red = np.full((20, 20, 3), (220, 30, 30), np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    Image.fromarray(noise).save(folder / "sub" / "noise.jpg", quality=95)
    Image.fromarray(red).save(folder / "red.jpg", quality=95)
    Image.fromarray(red).save(folder / "red.webp", quality=95)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no image")
    (folder / "notes.txt").write_text("no image either")
    return folder


def blocks(width=3):
    rows = np.arange(5 * width, dtype=np.float32).reshape(5, width)
    yield ["a.jpg", "b.jpg"], rows[:2]
    yield ["ü.jpg", "d.jpg", "e.jpg"], rows[2:]


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_files_round_trip(tmp_path, ending):
    path = tmp_path / "new" / f"features.{ending}"
    assert feature_files.write(path, blocks(), SOURCE) == 5
    paths, embeddings = read(path)
    assert paths == ["a.jpg", "b.jpg", "ü.jpg", "d.jpg", "e.jpg"]
    assert feature_files.read_source(path) == SOURCE
    assert embeddings.dtype == np.float32
    assert embeddings.tolist()[4] == [12.0, 13.0, 14.0]
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_broken_files_are_refused(tmp_path, ending):
    path = tmp_path / f"features.{ending}"
    with pytest.raises(InputError, match="no such file"):
        feature_files.read_source(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="is no file of features"):
        feature_files.read_source(path)
    with pytest.raises(InputError, match="is no file of features"):
        read(path)
    with pytest.raises(InputError, match=".npz or .parquet"):
        feature_files.write(tmp_path / "a.csv", blocks(), SOURCE)


def test_failed_writing_leaves_nothing(tmp_path):
    def fails():
        yield from blocks()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        feature_files.write(tmp_path / "a.parquet", fails(), SOURCE)
    assert not list(tmp_path.iterdir())


def test_nearest_by_angle_equal_ones_in_order():
    rows = np.array([[0, 5], [1, 1], [3, 0], [2, 0], [0, 0], [-1, 0]])
    found = similar_images.nearest([rows], np.array([1, 0]), 6)
    assert found == similar_images.nearest(np.split(rows, 3), [1, 0], 6)
    assert [i for i, _ in found] == [2, 3, 1, 0, 4, 5]
    cosines = [round(c, 4) for _, c in found]
    assert cosines == [1.0, 1.0, 0.7071, 0.0, 0.0, -1.0]


def test_in_is_out_and_rejected(workdir, folder, tmp_path):
    out = tmp_path / "features.npz"
    found = extract.extract(workdir, folder, out, BatchOptions(3))
    assert (found.images, found.width) == (4, 8)
    assert found.rejected == {"broken_image": 1}
    [line] = (tmp_path / "features.npz.rejected.jsonl").read_text().splitlines()
    assert json.loads(line)["item"] == "broken.jpg"
    paths, embeddings = read(out)
    assert paths == [
        "noise.png",
        "red.jpg",
        "red.webp",
        "sub/noise.jpg",
    ]
    tagger = load_tagger(workdir)
    pixels = preprocessing.decode_and_resize(
        tf.constant((folder / "red.jpg").read_bytes()), 16, 1.0
    )
    wished = tagger.embed(pixels[None], training=False)[0]
    np.testing.assert_allclose(embeddings[1], wished, rtol=1e-4)


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_all_workers_together_write_what_one_does(
    workdir, folder, tmp_path, ending
):
    def written(count):
        out = tmp_path / str(count) / f"f.{ending}"
        paths = extract.image_files(folder)
        options = BatchOptions(2, progress=False)
        given = (workdir, folder, paths, out, options)
        found = together(extract._extract, given, count)
        # 4 workers have 3 batches.
        assert (found.images, found.rejected) == (4, {"broken_image": 1})
        letters = out.with_name(f"{out.name}.rejected.jsonl").read_text()
        paths, embeddings = read(out)
        return paths, embeddings.tobytes(), letters

    assert written(1) == written(2) == written(4)


def test_commands_find_the_same_picture_again(workdir, folder, tmp_path):
    out, plot = tmp_path / "f.parquet", tmp_path / "look.png"
    made = run("features", workdir, folder, "--out", out)
    assert "5 images in = 4 embeddings of 8 numbers" in made.output
    query = folder / "sub" / "noise.jpg"
    given = ("similar", query, "--features", out, "--images", folder)
    found = run(*given, "--plot", plot, "--count", 2)
    assert found.exit_code == 0, found.output
    lines = [line for line in found.output.splitlines() if "noise" in line]
    # Red pictures are less like it than the two of the same noise.
    assert [" 1.000 " in line for line in lines] == [True, True]
    with Image.open(plot) as picture:
        assert min(picture.size) > 100


def test_hidden_files_are_no_images(tmp_path):
    for name in ("b.jpg", "a/b.PNG", "._b.jpg", "__MACOSX/b.jpg", ".a/b.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = extract.image_files(tmp_path)
    assert found == [tmp_path / "a" / "b.PNG", tmp_path / "b.jpg"]


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_a_name_that_is_no_utf_8_is_rejected(workdir, folder, tmp_path, ending):
    images, out = tmp_path / "images", tmp_path / f"f.{ending}"
    images.mkdir()
    content = (folder / "red.jpg").read_bytes()
    (images / "red.jpg").write_bytes(content)
    bad = os.fsencode(images) + b"/bad\xff.jpg"
    with open(bad, "wb") as file:
        file.write(content)
    result = run("features", workdir, images, "--out", out)
    assert result.exit_code == 0, result.output
    assert "2 images in = 1 embeddings of 8 numbers" in result.output
    assert read(out)[0] == ["red.jpg"]
    assert json.loads(
        (tmp_path / f"{out.name}.rejected.jsonl").read_text()
    ) == {
        "item": r"bad\xff.jpg",
        "reason": "unreadable_file",
        "detail": "the name is no UTF-8; rename the file",
        "path": rf"{images}/bad\xff.jpg",
    }


def test_another_folder_than_was_embedded_is_refused(workdir, folder, tmp_path):
    out = tmp_path / "f.npz"
    extract.extract(workdir, folder, out, BatchOptions(progress=False))
    given = ("similar", folder / "red.jpg", "--features", out, "--images")
    for images, plot, wrong in (
        (tmp_path, "a.png", "does not hold noise.png: "),
        (folder, "a.xyz", "--plot writes .png, .pdf, .svg; received: "),
        (folder, "none/a.png", "no such folder for --plot: "),
    ):
        result = run(*given, images, "--plot", tmp_path / plot)
        assert isinstance(result.exception, InputError)
        assert wrong in str(result.exception)
    gone = shutil.copytree(folder, tmp_path / "gone")
    (gone / "red.webp").unlink()
    result = run(*given, gone, "--plot", tmp_path / "a.png")
    assert "does not hold red.webp: " in str(result.exception)


def test_other_weights_are_refused(workdir, folder, tmp_path):
    out = tmp_path / "features.npz"
    source = Source(str(workdir), "other")
    feature_files.write(out, [(["a"], np.ones((1, 8), np.float32))], source)
    with pytest.raises(InputError, match="other weights"):
        similar_images.similar(folder / "red.jpg", out)
    with pytest.raises(InputError, match="broken_image"):
        similar_images.similar(folder / "broken.jpg", out)
    with pytest.raises(InputError, match="no such image"):
        similar_images.similar(folder / "absent.jpg", out)
    with pytest.raises(InputError, match="holds no image"):
        extract.image_files(tmp_path)
