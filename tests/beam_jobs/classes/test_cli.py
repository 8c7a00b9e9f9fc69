import pytest

from beam_jobs.classes.load_classes import load_classes
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.errors import InputError
from tests.helpers.commands import run

DOG, CAT, POODLE = "n02084071", "n02121620", "n02113335"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "vocabulary.tsv"
    Vocabulary([TagClass(0, DOG, "dog"), TagClass(1, CAT, "cat")]).save(path)
    return path


def test_shows_a_summary(file):
    shown = run("vocabulary", file).output
    assert "active classes" in shown
    assert "2: dog, cat" in shown


def test_grows_and_shows_what_changed(file, tmp_path):
    more = tmp_path / "more.tsv"
    more.write_text(f"wnid\n{POODLE}\n")
    gone = tmp_path / "gone.tsv"
    gone.write_text(f"wnid\n{CAT}\n")
    out = tmp_path / "new" / "vocabulary.tsv"
    shown = run(
        "vocabulary", file, "--grow-with", more, "--remove", gone, "--out", out
    ).output
    assert f"{POODLE} poodle" in shown
    assert "active -> removed" in shown
    assert Vocabulary.load(out).index_of(POODLE) == 2
    assert (out.parent / "hierarchy.tsv").is_file()
    assert f"{POODLE} poodle" in run("vocabulary", file, "--diff", out).output


def test_grows_by_classes_of_ones_own(file, tmp_path):
    more, out = tmp_path / "more.tsv", tmp_path / "new" / "vocabulary.tsv"
    more.write_text(
        f"wnid\tname\tparent\nown:rex\tRex\t{DOG}\nown:my_toy\t\town:rex\n"
    )
    grow = ("vocabulary", file, "--grow-with", more, "--out", out)
    assert "own:my_toy my toy" in run(*grow).output
    classes, tree = load_classes(str(out))
    rex, toy = (classes.index_of(f"own:{n}") for n in ("rex", "my_toy"))
    assert tree.parents[rex] == (classes.index_of(DOG),)
    assert tree.parents[toy] == (rex,)
    out.unlink()
    more.write_text("wnid\tname\tparent\nown:rex\tRex\town:typo\n")
    error = run(*grow).exception
    assert "own:typo, is in neither the vocabulary" in str(error)


@pytest.mark.parametrize(
    ("option", "message"),
    [("--remove", "give --out FILE"), ("--out", "--out goes with a change")],
)
def test_options_belong_together(file, tmp_path, option, message):
    error = run("vocabulary", file, option, tmp_path / "x.tsv").exception
    assert isinstance(error, InputError)
    assert message in str(error)
