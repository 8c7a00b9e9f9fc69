from types import SimpleNamespace

import pytest

from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.dataset_job.given_corrections import (
    Given,
    read_given,
    save_letters,
)
from beam_jobs.dataset_job.options import RelabelOptions
from beam_jobs.errors import InputError

DOG = "n02084071"
VOCABULARY = Vocabulary([TagClass(0, DOG, "dog")])


@pytest.fixture(name="options")
def fixture_options(tmp_path):
    path = tmp_path / "corrections.csv"
    path.write_text(f"image_id,wnid,verdict\na/1,{DOG},absent\n")
    return RelabelOptions("dataset", "out", corrections=(str(path),))


def test_corrections_are_read_before_the_job(options):
    made = SimpleNamespace(options={"images": {"boxes": False}})
    assert read_given(options, made, VOCABULARY).corrections == {
        "a/1": {0: 0.0}
    }
    without = RelabelOptions("dataset", "out")
    assert read_given(without, made, VOCABULARY) == Given()


@pytest.mark.parametrize(
    "said", [{"images": {"boxes": True}}, {"sources": {"masks": ["a"]}}]
)
def test_boxes_and_masks_are_not_corrected(options, said):
    with pytest.raises(InputError, match="not of boxes and masks"):
        read_given(options, SimpleNamespace(options=said), VOCABULARY)


def test_images_that_are_not_there_are_dead_letters(tmp_path):
    given = Given({"a/1": {0: 0.0}, "a/2": {0: 1.0}})
    rejected, path = save_letters(["a/1"], str(tmp_path), given)
    assert rejected == {"missing_image": 1}
    with open(path, encoding="utf-8") as file:
        assert '"a/2"' in file.read()
