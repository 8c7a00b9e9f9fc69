"""Bulk tagging: the same answers as the model gives, and no image lost."""

from __future__ import annotations

import io
import json
import os
import tarfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image as PillowImage
from pyarrow import parquet

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.rejections import Reason, Rejection
from serving.api import contract
from serving.api.prediction import to_prediction
from serving.api.tag_options import TagOptions
from serving.bulk import bulk_tag, model_files, tag_batch
from serving.bulk.bulk_tag import tag_in_bulk
from serving.bulk.inputs import Shard, cut_part, find_parts
from serving.bulk.manifest import Manifest
from serving.bulk.model_folders import find_version
from serving.bulk.options import BulkOptions
from serving.bulk.read_images import Image, read_batches
from serving.bulk.tag_files import tag_lines, tag_table
from serving.bulk.tag_shard import Outcome
from tests.helpers.commands import run as command
from tests.helpers.images import noise_image
from tests.helpers.records import Record, to_example
from tests.helpers.tars import write_tar

TWO_PROCESSES = (
    "--direct_num_workers=2",
    "--direct_running_mode=multi_processing",
)
# What becomes of one broken file of every kind.
BROKEN = {
    "cut.jpg": "broken_image",
    "empty.jpg": "empty_file",
    "huge.jpg": "too_many_bytes",
    "text.jpg": "not_an_image",
    "vast.png": "too_many_pixels",
    "fine.tif": "unsupported_image",
}


def broken() -> dict[str, bytes]:
    good = noise_image(99)
    tif = io.BytesIO()
    PillowImage.new("RGB", (16, 16)).save(tif, "TIFF")
    vast = bytearray(noise_image(98, form="PNG"))
    vast[16:24] = (11_000).to_bytes(4, "big") * 2
    vast[29:33] = zlib.crc32(vast[12:29]).to_bytes(4, "big")
    return {
        "cut.jpg": good[: len(good) // 2],
        "empty.jpg": b"",
        "huge.jpg": good + bytes(contract.MAX_IMAGE_BYTES),
        "text.jpg": b"no image at all, but a text",
        "vast.png": bytes(vast),
        "fine.tif": tif.getvalue(),
    }


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """33 good images, 10 of them in a tar, and 6 broken ones."""
    root = tmp_path_factory.mktemp("photos")
    (root / "below").mkdir()
    for seed in range(23):
        folder = root / "below" if seed % 2 else root
        form = "PNG" if seed % 5 == 0 else "JPEG"
        path = folder / f"{seed:02d}.{form.lower()}"
        path.write_bytes(noise_image(seed, (30 + seed, 40), form))
    for name, data in broken().items():
        (root / name).write_bytes(data)
    members = {f"{seed}.jpg": noise_image(seed) for seed in range(30, 40)}
    write_tar(root / "more.tar", {**members, "0.json": b"{}"})
    (root / "notes.txt").write_text("no image")
    return root


def bulk(model_base, photos, out, *beam_args, **changes) -> Manifest:
    options = BulkOptions(
        str(model_base), [str(photos)], str(out), images_per_file=8
    )
    options = replace(options, **changes)
    return tag_in_bulk(options, beam_args, show_progress=False)


@pytest.fixture(scope="module")
def tagged(model_base, photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("bulk") / "out"
    return out, bulk(model_base, photos, out)


@pytest.fixture(scope="module")
def servable(model_base):
    return model_files.load(find_version(str(model_base)))


def rows_of(out) -> list[dict]:
    return parquet.read_table(out / "tags").to_pylist()


def test_no_image_is_lost(tagged, photos):
    out, manifest = tagged
    assert manifest.rejected == {reason: 1 for reason in BROKEN.values()}
    assert manifest.images == {"in": 39, "out": 33, "rejected": 6}
    assert manifest.left_out == 1  # notes.txt
    rows = rows_of(out)
    assert len(rows) == 33
    assert sum(file["rows"] for file in manifest.files) == 33
    letters = [
        json.loads(line)
        for path in sorted((out / "dead_letters").iterdir())
        for line in path.read_text().splitlines()
    ]
    found = {Path(d["item"]).name: d["reason"] for d in letters}
    assert found == BROKEN
    assert all(letter["path"] == letter["item"] for letter in letters)
    names = [row["image"] for row in rows] + [d["item"] for d in letters]
    members = [f"{photos}/more.tar/{n}.jpg" for n in range(30, 40)]
    files = [str(p) for p in photos.rglob("*.*g")] + [f"{photos}/fine.tif"]
    assert sorted(names) == sorted(files + members)
    assert not (out / ".work").exists()


def test_answers_are_those_of_the_model(tagged, servable):
    out, manifest = tagged
    for row in rows_of(out):
        if ".tar/" in row["image"]:
            with tarfile.open(row["path"]) as archive:
                name = row["image"].rpartition("/")[2]
                data = archive.extractfile(name).read()
        else:
            data = Path(row["path"]).read_bytes()
        outputs = servable.run(
            contract.TAGS, {contract.IMAGE_BYTES: np.array([data], object)}
        )
        assert row["valid"]
        assert [tag["wnid"].encode() for tag in row["tags"]] == list(
            outputs[contract.WNIDS][0]
        )
        assert [tag["score"] for tag in row["tags"]] == pytest.approx(
            list(outputs[contract.SCORE_VALUES][0]), abs=1e-6
        )
        assert row["model_version"] == manifest.model["model_version"]


def test_table_and_lines_say_what_clients_see(servable):
    images = [
        Image(f"{seed}.jpg", "a.tar", noise_image(seed)) for seed in range(5)
    ]
    asked = TagOptions(min_confidence=0.5, exclude=("n02084071",))
    for select in (None, asked):
        outputs = tag_batch.tag_batch(servable, images, select).outputs
        lines = [json.loads(line) for line in tag_lines(images, outputs, 2)]
        rows = tag_table(images, outputs, 2).to_pylist()
        for number, (row, line) in enumerate(zip(rows, lines, strict=True)):
            prediction = to_prediction(
                {name: _text(v[number]) for name, v in outputs.items()}
            ).top(2)
            expected = json.loads(json.dumps(prediction.to_json()))
            expected |= {"image": f"{number}.jpg", "path": "a.tar"}
            assert line == expected
            for tag in row["tags"]:
                tag["score"] = float(str(np.float32(tag["score"])))
            assert row == expected


def _text(value):
    if isinstance(value, bytes):
        return value.decode()
    values = np.asarray(value).tolist()
    return [_text(v) for v in values] if np.ndim(value) else values


def test_again_and_otherwise(tagged, model_base, photos):
    out, manifest = tagged
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    assert bulk(model_base, photos, out) == manifest
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before
    with pytest.raises(InputError, match="answers to other images"):
        bulk(model_base, photos, out, top=1)


def test_options_and_lines(tagged, model_base, photos, tmp_path):
    select = TagOptions(
        max_labels=2, min_confidence=0.0, include=("n02084071",)
    )
    changes = {"format": "jsonl", "select": select, "batch_size": 4}
    found = bulk(model_base, photos, tmp_path, **changes)
    assert found.images == tagged[1].images
    for file in found.files:
        lines = (tmp_path / file["path"]).read_text().splitlines()
        assert len(lines) == file["rows"]
        for row in map(json.loads, lines):
            assert [tag["wnid"] for tag in row["tags"]] == ["n02084071"]


def test_an_interrupted_job_goes_on(tagged, model_base, photos, tmp_path):
    _, whole = tagged
    first, *others = whole.files
    work = bulk_tag._prepare(str(tmp_path), whole.request)
    # All but one shard is done; the done ones would not be found again.
    for file in others:
        name = Path(file["path"]).stem.removeprefix("tags-")
        outcome = Outcome(name, images_in=file["rows"], **file)
        done = Path(work) / "done" / f"{name}.json"
        done.parent.mkdir(exist_ok=True)
        done.write_text(json.dumps(vars(outcome)))
        (tmp_path / "tags").mkdir(exist_ok=True)
        (tmp_path / file["path"]).write_text("kept")
    again = bulk(model_base, photos, tmp_path)
    assert again.files == whole.files
    assert storage.sha256(tmp_path / first["path"]) == first["sha256"]
    assert (tmp_path / others[0]["path"]).read_text() == "kept"
    # Nothing is kept for another request.
    bulk_tag._prepare(str(tmp_path), "one")
    (tmp_path / "tags").mkdir()
    (tmp_path / "tags" / "a").touch()
    bulk_tag._prepare(str(tmp_path), "one")
    assert (tmp_path / "tags" / "a").exists()
    bulk_tag._prepare(str(tmp_path), "two")
    assert not (tmp_path / "tags").exists()


def test_a_folder_of_someone_else_is_left_alone(model_base, photos, tmp_path):
    (tmp_path / "tags").mkdir()
    (tmp_path / "tags" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not of `tagforest bulk`"):
        bulk(model_base, photos, tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="not of `tagforest bulk`"):
        bulk(model_base, photos, tmp_path, overwrite=True)


class Fragile:
    """The model, but it raises on what is in `poison`."""

    def __init__(self, servable, poison):
        self._servable = servable
        self._poison = poison
        self.sizes = []

    def run(self, signature_name, inputs):
        data = inputs[contract.IMAGE_BYTES]
        self.sizes.append(len(data))
        if self._poison & set(data):
            raise tf.errors.InternalError(None, None, "bad kernel\nmore")
        return self._servable.run(signature_name, inputs)


def test_a_poisoned_image_alone_is_rejected(servable):
    images = [Image(f"{n}", "", noise_image(n)) for n in range(5)]
    model = Fragile(servable, {images[3].data})
    tagged = tag_batch.tag_batch(model, images)
    assert [image.name for image in tagged.images] == ["0", "1", "2", "4"]
    assert len(tagged.outputs[contract.SCORE_VALUES]) == 4
    assert tagged.rejections == [
        Rejection(Reason.MODEL_FAILED, "3", "bad kernel", "")
    ]
    assert model.sizes == [8, 1, 1, 1, 1, 1]
    # A model that fails on all images is no reason to reject millions.
    everything = {image.data for image in images}
    assert (
        tag_batch.tag_batch(Fragile(servable, everything), images).images == []
    )
    everything |= {b"", tag_batch.sample_image()}
    with pytest.raises(tf.errors.InternalError):
        tag_batch.tag_batch(Fragile(servable, everything), images)


def test_batches_by_number_and_bytes(tmp_path):
    sizes = [9, 20, 15, 9, 40, 1, 1, 1]  # MB; over 20 is not read
    names = [f"{n}.jpg" for n in range(len(sizes))]
    for name, size in zip(names, sizes, strict=True):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size * 1024**2)
    places = tuple(
        (name, ImageRef(str(tmp_path / name), 0, size * 1024**2))
        for name, size in zip(names, sizes, strict=True)
    )
    os.remove(tmp_path / "7.jpg")
    batches = list(read_batches(Shard("a", places), batch_size=3))
    found = [[image.name[0] for image in batch.images] for batch in batches]
    # 9 + 20 MB; 15 + 9 MB and the refused one make three; then the rest.
    assert found == [["0", "1"], ["2", "3"], ["5", "6"]]
    reasons = [[r.reason.value for r in batch.rejections] for batch in batches]
    assert reasons == [[], ["too_many_bytes"], ["missing_image"]]


def test_shards_depend_on_the_sources_alone(photos):
    twice = find_parts([str(photos), f"{photos}/below/*.jpeg"], 8)
    assert twice == find_parts([str(photos)], 8)
    shards = [
        shard
        for number, part in enumerate(twice.parts)
        for shard in cut_part(number, part, 8)
    ]
    names = [shard.name for shard in shards]
    assert names == sorted(names)
    assert max(len(shard.images) for shard in shards) == 8
    assert sum(len(shard.images) for shard in shards) == 39
    with pytest.raises(InputError, match="no image there"):
        find_parts([str(photos / "notes")], 8)


def test_hidden_files_and_members_are_no_images(tmp_path):
    for name in ("a.jpg", "._a.jpg", "__MACOSX/a.jpg", ".b/a.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(noise_image(1))
    write_tar(tmp_path / "c.tar", {"./a.jpg": b"x", "._a.jpg": b"y"})
    found = find_parts([str(tmp_path)], 8)
    images = [
        name
        for number, part in enumerate(found.parts)
        for shard in cut_part(number, part, 8)
        for name, _ in shard.images
    ]
    assert images == [f"{tmp_path}/a.jpg", f"{tmp_path}/c.tar/./a.jpg"]


def test_records_and_a_damaged_one(tmp_path):
    path = tmp_path / "some.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for seed in range(6):
            record = Record(f"csv/{seed}", noise_image(seed), 48, 40)
            record_bytes = to_example(record)
            writer.write(record_bytes)
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    last = path.stat().st_size - 16 - len(record_bytes)
    path.write_bytes(data)
    batches = list(read_batches(Shard("a", records=str(path)), 4))
    names = [image.name for batch in batches for image in batch.images]
    assert names == [f"csv/{seed}" for seed in range(5)]
    (letter,) = batches[-1].rejections
    assert (letter.reason, letter.item) == (
        Reason.UNREADABLE_ARCHIVE,
        str(path),
    )
    # Its bytes begin after the length and its checksum.
    said = f"{path} is damaged at byte {last + 12}; copy it again"
    assert letter.detail.startswith(said)


@pytest.mark.large
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("beam_args", "share_model"),
    [
        (TWO_PROCESSES, False),
        (TWO_PROCESSES, True),
        (("--runner=DaskRunner", "--dask_npartitions=2"), False),
    ],
    ids=["two processes", "two processes, one model", "Dask"],
)
def test_runners_write_the_same(
    tagged, model_base, photos, tmp_path, beam_args, share_model
):
    if "--runner=DaskRunner" in beam_args:
        pytest.importorskip("distributed", reason="Dask is not installed")
    found = bulk(
        model_base, photos, tmp_path, *beam_args, share_model=share_model
    )
    assert replace(found, options={}) == replace(tagged[1], options={})


def test_a_detector_is_refused_before_the_job(detector_base, tmp_path):
    (tmp_path / "a.jpg").write_bytes(noise_image(1))
    out = tmp_path / "out"
    done = command("bulk", detector_base, tmp_path / "a.jpg", "--out", out)
    assert isinstance(done.exception, InputError)
    assert "answers 'detect', not tags" in str(done.exception)
    assert not out.exists()
