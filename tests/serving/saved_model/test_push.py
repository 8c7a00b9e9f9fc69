import pytest

from serving.api.version_folders import find_versions
from serving.saved_model.push import drop_old, folder_digest, push


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "data").write_bytes(b"weights")
    return folder


def test_it_is_copied_whole(model, tmp_path):
    version, is_new = push(model, tmp_path / "served", keep=0)
    assert is_new and version.name.isdigit()
    assert folder_digest(version) == folder_digest(model)
    assert [p.name for p in (tmp_path / "served").iterdir()] == [version.name]


def test_equal_bytes_are_pushed_once(model, tmp_path):
    first, _ = push(model, tmp_path / "served", keep=0)
    again, is_new = push(model, tmp_path / "served", keep=0)
    assert again == first and not is_new


def test_going_back_is_a_new_version(model, tmp_path):
    served = tmp_path / "served"
    first, _ = push(model, served, keep=0)
    (model / "saved_model.pb").write_bytes(b"another")
    second, _ = push(model, served, keep=0)
    (model / "saved_model.pb").write_bytes(b"graph")
    third, is_new = push(model, served, keep=0)
    assert is_new
    assert int(first.name) < int(second.name) < int(third.name)


def test_the_newest_stay(model, tmp_path):
    served = tmp_path / "served"
    for count in range(4):
        (model / "saved_model.pb").write_bytes(b"%d" % count)
        newest, _ = push(model, served, keep=2)
    assert len(find_versions(served)) == 2
    assert find_versions(served)[-1] == int(newest.name)
    assert drop_old(served, 1) and find_versions(served) == [int(newest.name)]
