"""Two worker processes against one, on the same data set folder."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from beam_jobs.dataset import dataset_folder
from model import workdir as files
from model.network.load_tagger import load_tagger
from model.training import prepare_workdir as prepare_workdir_
from model.training.local_workers import check_equal_weights
from model.training.train import train
from model.workers.cluster import free_ports
from tests.helpers.datasets import coloured_square, write_dataset, write_records

ROOT = Path(__file__).parents[3]


@pytest.fixture(name="uneven", scope="module")
def fixture_uneven(tmp_path_factory):
    """Returns a data set whose shards divide among no two workers.

    29 training images in shards of 17, 9 and 3; 11 validation images.
    """
    folder = write_dataset(tmp_path_factory.mktemp("uneven") / "d", 29)
    rows = [coloured_square(i) for i in range(29)]
    for split, ends in (
        (dataset_folder.TRAIN, (17, 26)),
        (dataset_folder.VALIDATION, (7, 8)),
    ):
        for path in (folder / split).iterdir():
            path.unlink()
        count = 29 if split == dataset_folder.TRAIN else 11
        starts = (0, *ends, count)
        for shard in range(3):
            path = folder / dataset_folder.shard_path(split, shard, 3)
            part = rows[starts[shard] : starts[shard + 1]]
            write_records(path, part)
    return folder


def run_workers(dataset, folder, devices):
    """Trains with two processes; returns what each evaluated."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    (folder / files.WORKERS).mkdir()
    workers = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        cluster = {"cluster": {"worker": addresses}, "task": task}
        environment = {
            **os.environ,
            "TF_CONFIG": json.dumps(cluster),
            "TF_NUM_INTRAOP_THREADS": "1",
            "PYTHONPATH": str(ROOT),
        }
        script = ROOT / "tests" / "helpers" / "worker_process.py"
        command = [sys.executable, script, dataset, folder, str(devices)]
        log = (folder / files.WORKERS / f"{index}.log").open("wb")
        workers.append(
            subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, cwd=ROOT
            )
        )
    try:
        for index, worker in enumerate(workers):
            status = worker.wait(timeout=600)
            log = folder / files.WORKERS / f"{index}.log"
            assert status == 0, log.read_text()[-3000:]
    finally:
        for worker in workers:
            worker.kill()
    check_equal_weights(folder / files.WORKERS, 2)
    return [
        json.loads((folder / f"evaluated-{i}.json").read_text())
        for i in range(2)
    ]


# Of losses and metrics, whatever the precision.
_FIGURES_TOLERANCE = 5e-2


def check_two_equal_one(config, dataset, folder, devices, tolerance):
    one, two = folder / "one", folder / "two"
    train(config, dataset, one)
    prepare_workdir_.prepare(two, os.fspath(dataset), config)
    first, second = run_workers(os.fspath(dataset), two, devices)
    assert first == second
    expected, found = load_tagger(one), load_tagger(two)
    np.testing.assert_array_equal(expected.runs.numpy(), found.runs.numpy())
    for a, b in zip(expected.weights, found.weights, strict=True):
        np.testing.assert_allclose(
            a.numpy(), b.numpy(), rtol=tolerance, atol=tolerance, err_msg=a.path
        )
    rows = [files.read_json(f / files.HISTORY, []) for f in (one, two)]
    for single, several in zip(*rows, strict=True):
        for name in ("loss", "val_loss", "val_f1_at_5"):
            found = pytest.approx(single[name], rel=_FIGURES_TOLERANCE)
            assert several[name] == found, name
    for name, value in first.items():
        assert rows[1][-1][f"val_{name}"] == pytest.approx(value, rel=1e-5)


@pytest.mark.large
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float32", 1e-4), ("mixed_bfloat16", 5e-2)]
)
def test_two_workers_equal_one(
    uneven, tiny_config, tmp_path, precision, tolerance
):
    config = synchronized(tiny_config(validate_every=1), precision)
    check_two_equal_one(config, uneven, tmp_path, 1, tolerance)


@pytest.mark.large
@pytest.mark.timeout(900)
def test_two_workers_of_two_replicas_equal_one(uneven, tiny_config, tmp_path):
    config = tiny_config(
        validate_every=1, accumulation_steps=2, steps_per_execution=2
    )
    config = synchronized(config, "float32")
    check_two_equal_one(config, uneven, tmp_path, 2, 1e-4)


def synchronized(config, precision):
    """Returns the config with what replicas must agree on."""
    network = dataclasses.replace(
        config.network, batch_norm_sync=True, precision=precision
    )
    data = dataclasses.replace(config.data, unknown="ignore")
    loss = dataclasses.replace(config.loss, absent_probability=0.5)
    return dataclasses.replace(config, network=network, data=data, loss=loss)
