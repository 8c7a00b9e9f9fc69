import json

import pytest

from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.errors import InputError
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Rejection
from beam_jobs.sources import corrections
from beam_jobs.sources.reader import AnnotatedImage, Context

DOG, CAT = "n02084071", "n02121620"
VOCABULARY = Vocabulary([TagClass(0, CAT, "cat"), TagClass(1, DOG, "dog")])


def write(folder, *rows, header="rank,image_id,wnid,verdict"):
    path = folder / "corrections.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


def read(path):
    (part,) = corrections.find(path, Context()).parts
    return list(corrections.read(part))


def image(image_id, **classes):
    keys = tuple(classes)
    return AnnotatedImage(
        image_id, Source.CORRECTIONS, keys, tuple(classes.values())
    )


def task(choices, **data):
    results = [{"value": {"choices": [c]}, "type": "choices"} for c in choices]
    return {"id": 1, "data": data, "annotations": [{"result": results}]}


def test_rows_of_an_image_are_one(tmp_path):
    path = write(
        tmp_path,
        f"1,folders/b,{DOG},absent",
        f"2,folders/a,{CAT},present",
        f"3,folders/b,{CAT},present",
        f"4,folders/c,{CAT},",
        f"5,folders/c,{DOG},unclear",
        "6,folders/d,own:stop_sign,absent",
    )
    assert read(path) == [
        image("folders/a", **{CAT: 1.0}),
        image("folders/b", **{DOG: 0.0, CAT: 1.0}),
        image("folders/d", **{"own:stop_sign": 0.0}),
    ]


def test_what_is_called_both_is_a_dead_letter(tmp_path):
    rows = [f"1,a/1,{DOG},absent", f"2,a/1,{DOG},present"]
    letter, other = read(write(tmp_path, *rows, f"3,a/2,{DOG},present"))
    assert letter.detail == f"{DOG} of a/1 is called present and absent"
    assert other.image_id == "a/2"


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        (f"1,a/1,{DOG},maybe", "a verdict is one of present, absent, unclear"),
        (f"1,,{DOG},absent", "an image_id is needed"),
        ("1,a/1,dog,absent", "a class is a WordNet id"),
        (f"1,a/1,{DOG}", "4 fields are needed; received: 3"),
        (f'1,"a/1,{DOG},absent', "unexpected end of data"),
    ],
)
def test_bad_rows_are_dead_letters(tmp_path, row, detail):
    first, letter = read(write(tmp_path, f"1,a/1,{CAT},absent", row))
    bad = first if isinstance(first, Rejection) else letter
    assert isinstance(bad, Rejection)
    assert detail in bad.detail
    with pytest.raises(InputError, match=r"corrections\.csv:2: .*a correction"):
        read(write(tmp_path, row))


def test_other_columns_are_refused(tmp_path):
    with pytest.raises(InputError, match="image_id, wnid, verdict are needed"):
        read(write(tmp_path, header="image,label"))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(InputError, match="are needed"):
        read(str(tmp_path / "empty.csv"))


def test_tasks_of_label_studio(tmp_path):
    path = tmp_path / "export.json"
    data = {"image_id": "a/1", "wnid": DOG, "image": "images/1.jpg"}
    tasks = [
        task(["absent"], **data),
        task([], **data | {"image_id": "a/2"}),
        {"id": 3, "image_id": "a/3", "wnid": CAT, "choice": "present"},
        task(["present", "absent"], **data | {"image_id": "a/4"}),
        "no task",
    ]
    path.write_text(json.dumps(tasks))
    found = read(str(path))
    images = [x for x in found if isinstance(x, AnnotatedImage)]
    assert images == [
        image("a/1", **{DOG: 0.0}),
        image("a/3", **{CAT: 1.0}),
    ]
    letters = [x.detail for x in found if isinstance(x, Rejection)]
    assert letters == [
        "'no task': a task is needed",
        f"{DOG} of a/4 is called present and absent",
    ]


@pytest.mark.parametrize("text", ["[nonsense]", "[" * 100_000 + "]"])
def test_broken_json_is_refused(tmp_path, text):
    path = tmp_path / "export.json"
    path.write_text(text)
    with pytest.raises(InputError, match="a correction is needed"):
        read(str(path))


def test_classes_that_are_none_here_are_dead_letters(tmp_path):
    path = write(tmp_path, f"1,a/1,{DOG},absent", "2,a/1,n00000001,absent")
    found, letters = corrections.read_files([path], VOCABULARY)
    assert found == {"a/1": {1: 0.0}}
    assert [x.detail for x in letters] == [
        "n00000001 is no class of the data set"
    ]
    assert corrections.say_unknown([path], VOCABULARY).startswith(
        "1 corrections say nothing here: n00000001"
    )
    assert corrections.say_unknown([], VOCABULARY) == ""
