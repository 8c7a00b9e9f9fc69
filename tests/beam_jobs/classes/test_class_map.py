import pytest

from beam_jobs.classes.class_map import MapRow, read_class_map, say_unused
from beam_jobs.errors import InputError

DOG, CAMERA = "n02084071", "n02942699"


@pytest.fixture
def read(tmp_path):
    def read_text(text):
        (tmp_path / "m.csv").write_text(text)
        return read_class_map(str(tmp_path / "m.csv"))

    return read_text


@pytest.mark.parametrize(
    "text",
    [
        f"name,class,parent,images\nGo-Pro,own:gopro,{CAMERA},3\n",
        f"\ufeffName;Class;Parent\nGo-Pro;own:gopro;{CAMERA}\n",
        f"name\tclass\tparent\nGo-Pro\town:gopro\t{CAMERA}\n",
    ],
)
def test_columns_and_delimiters(read, text):
    found = read(text).row_of("csv:go pro", "go pro")
    assert found == MapRow("own:gopro", CAMERA)


def test_a_row_without_a_class_leaves_the_name_out(read):
    found = read("name,class\ncsv:dog,\n")
    assert found.row_of("csv:dog", "dog") == MapRow("")
    assert found.row_of("coco:dog", "dog") is None


def test_overrides_are_a_map(read):
    found = read(f"LabelName,WordNetId\n/m/1,{DOG}\n")
    assert found.row_of("oi:/m/1", "x") == MapRow(DOG)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "m.csv:1: a class map starts with the columns name, class"),
        ("word,class\n", "m.csv:1: a class map starts with"),
        ("name,class\ndog,dog\n", "m.csv:2: a class is a WordNet id.*own:dog"),
        ("name,class\ndog\n", "m.csv:2: a name and a class are needed"),
        (f"name,class\n,{DOG}\n", "m.csv:2: a row without name"),
        (f"name,class\ndog,{DOG}\ndog,\n", "m.csv:3: a second row for 'dog'"),
        (
            f"name,class,parent\nRex,{DOG},own:pet\n",
            f"m.csv:2: a parent is .* as own:rex; received: {DOG}",
        ),
        (f"name,class,parent\nRex,,{DOG}\n", "received: no class"),
    ],
)
def test_malformed_rows_are_named(read, text, message):
    with pytest.raises(InputError, match=message):
        read(text)


def test_unused_rows_by_place(read):
    found = read("name,class\nStop Sign,own:a\ncsv:dog,\nGoPro,own:b\n")
    unused = found.unused({"csv:dog": "dog", "x:stop-sign": "stop-sign"})
    assert list(unused.values()) == ["GoPro"]
    assert "1 of 3 rows" in say_unused(unused, 3)


def test_own_parents_are_followed_to_their_own(read):
    found = read(
        f"name,class,parent\nHero,own:hero,own:gopro\n"
        f"GoPro,own:gopro,own:cams\nCams,own:cams,{CAMERA}\nx,own:x,\n"
    )
    assert found.kinds(["own:gopro", DOG]) == {
        "own:gopro": "GoPro",
        "own:cams": "Cams",
    }
