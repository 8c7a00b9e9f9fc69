import pytest

from beam_jobs.errors import InputError
from beam_jobs.sources import cells


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("dog, cat", ["dog", "cat"]),
        ("dog;wine glass|cat", ["dog", "wine glass", "cat"]),
        ("['dog', 'cat']", ["dog", "cat"]),
        ('["dog"]', ["dog"]),
        ("[dog, cat]", ["dog", "cat"]),
        ("[]", []),
        ("", [""]),
    ],
)
def test_labels_of_a_cell(cell, labels):
    assert cells.split_labels(cell) == labels


@pytest.mark.parametrize(
    ("cell", "separator", "labels"),
    [
        ("Salt, pepper; cup", "none", ["Salt, pepper; cup"]),
        ("clear  primary road", "blank", ["clear", "primary", "road"]),
        ("a, b; c", ",", ["a", "b; c"]),
        ("['dog', 'cat']", ";", ["dog", "cat"]),
    ],
)
def test_labels_of_a_cell_by_a_separator_given(cell, separator, labels):
    assert cells.labels_of(cell, (), separator) == labels


@pytest.mark.parametrize("cell", ["[1, 2]", "[{'dog': 1}]", "['dog', 'cat]"])
def test_a_cell_that_holds_no_labels_is_refused(cell):
    with pytest.raises(ValueError, match="labels"):
        cells.split_labels(cell)


@pytest.mark.parametrize(
    ("value", "names", "labels"),
    [
        (None, (), []),
        ("dog; cat", (), ["dog", "cat"]),
        (["hot dog, plain", "cat"], (), ["hot dog, plain", "cat"]),
        (3, (), ["3"]),
        (1.0, ("cat", "dog"), ["dog"]),
        ("1", ("cat", "dog"), ["dog"]),
        ("bird", ("cat", "dog"), ["bird"]),
        ([0, 1, -1], ("cat", "dog"), ["cat", "dog"]),
        (
            {"bbox": [[1, 2]], "category": [1, 0]},
            ("cat", "dog"),
            ["dog", "cat"],
        ),
        ([{"label": "dog"}, {"label": "cat"}], (), ["dog", "cat"]),
    ],
)
def test_labels_of_values(value, names, labels):
    assert cells.labels_of(value, names) == labels


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2, "class 2: there are 2 names"),
        (0.5, "labels '0.5'"),
        (True, "labels 'True'"),
        ({"text": "dog"}, "labels .*an object with one of labels"),
        ([["dog"]], "labels"),
    ],
)
def test_other_values_are_refused(value, message):
    with pytest.raises(ValueError, match=message):
        cells.labels_of(value, ("cat", "dog"))


def test_class_names_are_lines(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("\ufeffcat\nwine glass\r\n\n")
    assert cells.read_class_names(str(path)) == ("cat", "wine glass")
    assert cells.read_class_names(None) == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"cat\n\ndog\n", "names.txt:2: a name a line"), (b"\xff\n", "UTF-8")],
)
def test_class_names_with_a_gap_are_refused(tmp_path, content, message):
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        cells.read_class_names(str(path))
