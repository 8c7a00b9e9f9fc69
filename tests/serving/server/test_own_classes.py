"""Classes that WordNet lacks, from a CSV to the tags of a server."""

from __future__ import annotations

import numpy as np
import pytest

from beam_jobs.classes.load_classes import load_folder
from beam_jobs.cli_options import build_options
from beam_jobs.dataset_job.options import DatasetOptions
from model.scores.calibrate import calibrate
from model.scores.options import CalibrateOptions
from model.training.train import train
from serving.api.server_options import ServerOptions
from serving.api.tag_options import TagOptions
from serving.client.tag_client import TagClient
from serving.saved_model.export import export
from serving.server.local_server import running_server
from serving.ui.rows import to_answer
from serving.ui.tag_tree import Choice
from tests.helpers.configs import tiny_config
from tests.helpers.datasets import build
from tests.helpers.images import encode

GOPRO, CAMERA, ROCKET, TOY = "own:gopro", "n02942699", "own:rocket", "own:toy_1"
COLOURS = {
    "GoPro": (220, 30, 30),
    "dog": (40, 40, 220),
    "ロケット": (30, 200, 30),
}


def write_source(folder):
    """Writes 25 images a class, their CSV, and what their names mean."""
    rows = ["image,label"]
    for name, colour in COLOURS.items():
        for i in range(25):
            pixels = np.full((24, 24, 3), np.uint8(colour) + np.uint8(i))
            (folder / f"{name}{i}.png").write_bytes(encode(pixels))
            rows.append(f"{name}{i}.png,{name}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    (folder / "map.csv").write_text(
        f"name,class,parent\nGoPro,{GOPRO},{CAMERA}\nロケット,{ROCKET},{TOY}\n"
    )


@pytest.fixture(scope="module", name="models")
def fixture_models(tmp_path_factory):
    """Returns the folder of a tagger that was trained on such a CSV."""
    folder = tmp_path_factory.mktemp("own")
    write_source(folder)
    given = {
        "csv": [str(folder / "labels.csv")],
        "class_map": str(folder / "map.csv"),
        "validation_per_class": 0,
        "near_duplicates": -1,
        "splits": "train=0.6,calibration=0.4",
        "out": str(folder / "dataset"),
    }
    assert build(build_options(DatasetOptions, given)).images["out"] == 75
    workdir = folder / "run"
    train(tiny_config(epochs=1), given["out"], workdir)
    calibrate(workdir, given["out"], CalibrateOptions())
    export(workdir, folder / "models", top_k=30)
    return folder


@pytest.mark.large
@pytest.mark.ci
def test_own_classes_are_served_with_their_parents(models):
    classes, tree = load_folder(models / "models" / "1" / "assets")
    rocket = classes.index_of(ROCKET)
    assert tree.parents[rocket] == (classes.index_of(TOY),)
    image = (models / "GoPro3.png").read_bytes()
    wanted = TagOptions(min_confidence=0.0, include=(GOPRO, TOY))
    options = ServerOptions(grpc_port=0, rest_port=0)
    with running_server(models / "models", options) as server:
        answers = []
        for address, kind in (
            (server.grpc_address, "grpc"),
            (server.rest_address, "rest"),
        ):
            with TagClient(address, kind) as client:
                answers += client.tag([image], wanted)
    assert answers[0] == answers[1]
    found = {t.wnid: (t.name, t.parents, t.leaf) for t in answers[0].tags}
    assert found == {
        GOPRO: ("GoPro", (CAMERA,), True),
        ROCKET: ("ロケット", (TOY,), True),
        TOY: ("toy 1", (), False),
    }
    shown = to_answer(answers[:1], ["1"], Choice(0.0, search="own:R"))
    assert [(row["name"], row["parent"]) for row in shown["rows"]] == [
        ("toy 1", -1),
        ("ロケット", 0),
    ]
