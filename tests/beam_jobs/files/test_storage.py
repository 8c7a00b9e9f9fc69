"""The same operations on a local folder and on an object store."""

import os

import pytest

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from tests.helpers.commands import loaded_by


@pytest.fixture(params=["local", "s3"])
def folder(request, tmp_path):
    if request.param == "local":
        return str(tmp_path / "data")
    return storage.join(request.getfixturevalue("s3"), tmp_path.name)


@pytest.mark.parametrize(
    ("path", "remote"),
    [("a/b", False), ("/a", False), ("s3://b/a", True), ("gs://b", True)],
)
def test_is_remote(path, remote):
    assert storage.is_remote(path) is remote


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        (("gs://b", "c", "d.txt"), "gs://b/c/d.txt"),
        (("gs://b/", "c/d"), "gs://b/c/d"),
        (("s3://b/c/", ""), "s3://b/c"),
        (("hdfs:///a", "b"), "hdfs:///a/b"),
        (("/a/", "b", "c"), "/a/b/c"),
    ],
)
def test_join(parts, joined):
    assert storage.join(*parts) == joined


def test_texts(folder):
    path = storage.join(folder, "deep", "text.txt")
    assert not storage.exists(path)
    storage.write_text(path, "first")
    storage.write_text(path, "zweite Zeile: ä\n")
    assert storage.exists(path)
    assert storage.read_text(path) == "zweite Zeile: ä\n"
    assert storage.size(path) == 17
    assert storage.list_files(storage.join(folder, "**")) == [(path, 17)]


def test_bytes_are_not_unpacked(folder):
    path = storage.join(folder, "data.gz")
    with storage.open_write(path) as file:
        file.write(b"no gzip")
    with storage.open_read(path) as file:
        file.seek(3)
        assert file.read(2) == b"gz"


def test_listing(folder):
    for name, size in (("b/2.txt", 2), ("a/1.txt", 1), ("a/1.csv", 3)):
        with storage.open_write(storage.join(folder, name)) as file:
            file.write(b"x" * size)
    texts = storage.join(folder, "*", "*.txt")
    assert storage.list_files(texts, texts) == [
        (storage.join(folder, "a/1.txt"), 1),
        (storage.join(folder, "b/2.txt"), 2),
    ]
    assert storage.list_files(storage.join(folder, "none", "*")) == []


@pytest.mark.parametrize("pattern", ["**", "*/*", "*"])
def test_hidden_files_are_not_listed(folder, pattern):
    names = ("a.jpg", "._a.jpg", "b/.DS_Store", ".c/a.jpg", "b/a.jpg")
    for name in (*names, "__MACOSX/a.jpg", "b/__MACOSX.jpg"):
        storage.write_text(storage.join(folder, name), "x")
    seen = {"*": ["a.jpg"], "*/*": ["b/__MACOSX.jpg", "b/a.jpg"]}
    seen["**"] = sorted(seen["*"] + seen["*/*"])
    listed = storage.list_files(storage.join(folder, pattern))
    assert [name for name, _ in listed] == [
        storage.join(folder, name) for name in seen[pattern]
    ]


def test_what_is_named_is_listed_hidden_or_not(folder):
    path = storage.join(folder, ".cache", "a.jpg")
    storage.write_text(path, "x")
    for pattern in (path, storage.join(folder, ".cache", "*.jpg")):
        assert storage.list_files(pattern) == [(path, 1)]


def test_publish(folder):
    final = storage.join(folder, "train", "part.bin")
    for content in (b"old", b"new!"):
        temporary = storage.work_file(final)
        with open(temporary, "wb") as file:
            file.write(content)
        storage.publish(temporary, final)
        assert not os.path.exists(temporary)
    assert storage.list_files(storage.join(folder, "**")) == [(final, 4)]


def test_publish_leaves_nothing_half_written(s3, tmp_path):
    final = storage.join(s3, "half", "file.bin")
    with pytest.raises(OSError, match="no-such-file"):
        storage.publish(tmp_path / "no-such-file", final)
    assert not storage.exists(final)


def test_removal(folder):
    names = ["keep.txt", "gone/a.txt", "gone/deep/b.txt"]
    paths = [storage.join(folder, name) for name in names]
    for path in paths:
        storage.write_text(path, "x")
    storage.remove_tree(storage.join(folder, "gone"))
    assert [storage.exists(path) for path in paths] == [True, False, False]
    storage.remove(paths[0])
    assert not storage.exists(paths[0])
    storage.remove(paths[0])
    storage.remove_tree(storage.join(folder, "gone"))


@pytest.mark.parametrize(
    "operation", [storage.read_text, storage.size, storage.open_read]
)
def test_missing_file_is_named(folder, operation):
    with pytest.raises(OSError, match="absent.txt"):
        operation(storage.join(folder, "absent.txt"))


def test_text_of_another_encoding(folder):
    path = storage.join(folder, "latin.txt")
    with storage.open_write(path) as file:
        file.write(b"\xe4")
    with pytest.raises(OSError, match="latin.txt: not UTF-8"):
        storage.read_text(path)


def test_unknown_scheme():
    with pytest.raises(InputError, match="no file system for ftp://"):
        storage.exists("ftp://host/file")


def test_missing_library():
    if storage._installed("azure.storage.blob"):
        pytest.skip("the library of azfs:// is installed")
    with pytest.raises(InputError, match=r"apache-beam\[azure\]"):
        storage.read_text("azfs://account/container/file")


def test_pattern_characters_in_a_name(tmp_path):
    folder = tmp_path / "data[1]*"
    folder.mkdir()
    (folder / "a.txt").write_text("x")
    pattern = storage.join(storage.escape(folder), "*.txt")
    assert storage.list_files(pattern) == [(str(folder / "a.txt"), 1)]


def test_local_paths_need_no_beam(tmp_path):
    code = (
        "from beam_jobs.files import storage\n"
        f"storage.write_text({str(tmp_path / 'a')!r}, 'x')"
    )
    assert loaded_by(code, "apache_beam") == []
    assert (tmp_path / "a").read_text() == "x"
