import shutil

import numpy as np
import pytest

from beam_jobs.classes.load_classes import load_folder
from beam_jobs.errors import InputError
from serving.saved_model.drift_reference import (
    count_answers,
    held_out_images,
    write_reference,
)
from serving.saved_model.export import export_model
from serving.saved_model.reference_options import ReferenceOptions
from serving.saved_model.servable import Servable
from serving.traffic.tallies import REFERENCE, Tally
from tests.helpers.datasets import write_dataset
from tests.helpers.images import noise_image
from tests.helpers.task_models import detector


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return str(write_dataset(tmp_path_factory.mktemp("d") / "data", images=40))


def test_images_lie_evenly_in_the_split(dataset):
    every = list(held_out_images(dataset, "validation", 1000))
    few = list(held_out_images(dataset, "validation", 3))
    assert few == [every[0], every[(len(every) - 1) // 2], every[-1]]


def test_counts_are_those_of_the_answers(model_base):
    servable = Servable(model_base / "1")
    classes = load_folder(model_base / "1" / "assets")
    tally = Tally(*classes)
    images = [noise_image(n) for n in range(40)] + [b"no image"]
    count_answers(servable, images, tally)
    assert (tally.images, tally.invalid) == (41, 1)
    outputs = servable.run(
        "serving_default", {"image_bytes": np.array(images, object)}
    )
    wnids = outputs["wnids"][outputs["is_tag"]].tolist()
    for c in classes[0]:
        assert tally.tags[c.index] == wnids.count(c.wnid.encode())


def test_the_same_data_give_the_same_bytes(model_base, dataset, tmp_path):
    options = ReferenceOptions(dataset, "validation")
    found = []
    for name in ("a", "b"):
        copy = tmp_path / name / "1"
        shutil.copytree(model_base / "1", copy)
        found.append(write_reference(copy, options).read_bytes())
    assert found[0] == found[1]
    assets = tmp_path / "a" / "1" / "assets"
    tally, about = Tally.load(assets / REFERENCE, *load_folder(assets))
    assert about["split"] == "validation" and about["data_set"]
    assert tally.images == about["images"] > 0


def test_refusals_publish_nothing(dataset, tagger, tmp_path):
    for model, options, said in (
        (
            tagger,
            ReferenceOptions(dataset, "test"),
            "no records in split 'test'",
        ),
        (tagger, ReferenceOptions(str(tmp_path / "none")), "none"),
        (detector(), ReferenceOptions(dataset, "validation"), "for taggers"),
    ):
        with pytest.raises(InputError, match=said):
            export_model(model, tmp_path / "out", reference=options)
    assert not (tmp_path / "out").exists()
