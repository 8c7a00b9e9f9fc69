"""A cluster whose workers or links are lost, and trainings that go on."""

import contextlib
import dataclasses
import json
import signal
import subprocess
import sys
import time

import pytest

from model import checkpoint_files
from model import workdir as files
from model.config import CheckpointConfig, LoggingConfig
from model.workers.cluster import free_ports
from tests.helpers.hosts import connected_hosts

pytestmark = [pytest.mark.large, pytest.mark.timeout(900)]
# Longer than it takes to notice that a worker is silent.
SILENT_SECONDS = 180
LOST = "start all again with the same command"


@pytest.fixture(name="config", scope="module")
def fixture_config(tmp_path_factory, tiny_config):
    """Returns the file of a config that trains for some seconds."""
    config = dataclasses.replace(
        tiny_config(epochs=40),
        checkpoint=CheckpointConfig(every_steps=1),
        logging=LoggingConfig(
            metric_images=0, images=0, projector_images=0, histograms_every=0
        ),
    )
    path = tmp_path_factory.mktemp("config") / "config.json"
    path.write_text(config.to_json())
    return path


class Cluster:
    """Workers of one training, by the command line."""

    def __init__(self, config, dataset, workdir, hosts=None):
        self.workdir, self.hosts = workdir, hosts
        ports = free_ports(2)
        names = [h.address for h in hosts] if hosts else ["127.0.0.1"] * 2
        addresses = ",".join(
            f"{n}:{p}" for n, p in zip(names, ports, strict=True)
        )
        self.command = [sys.executable, "-m", "tfx_pipeline.cli", "train"]
        self.command += [str(dataset), "--workdir", str(workdir)]
        self.command += ["--config", str(config), "--hosts", addresses]

    @contextlib.contextmanager
    def running(self):
        """Starts both; kills what is left of them."""
        self.workdir.mkdir(exist_ok=True)
        with contextlib.ExitStack() as stack:
            workers = []
            for index in range(2):
                command = [*self.command, "--worker-index", str(index)]
                if self.hosts:
                    command = self.hosts[index].command(command)
                log = (self.workdir / f"said-{index}").open("w")
                stack.enter_context(log)
                worker = subprocess.Popen(
                    command, stdout=log, stderr=subprocess.STDOUT
                )
                stack.callback(worker.wait)
                stack.callback(worker.kill)
                workers.append(worker)
            yield workers

    def said(self, index):
        return (self.workdir / f"said-{index}").read_text()

    def last_line(self, index):
        return self.said(index).splitlines()[-1]

    def steps(self):
        found = checkpoint_files.checkpoints(self.workdir)
        return found[-1].position.step if found else 0

    def finish(self):
        """Trains to the end; returns the SHA-256 of the weights."""
        with self.running() as workers:
            for index, worker in enumerate(workers):
                assert worker.wait(600) == 0, self.said(index)
        return files.read_json(self.workdir / files.RESULT, {})[
            "weights_sha256"
        ]


def wait_until(is_so, workers):
    end = time.monotonic() + 300
    while not is_so():
        assert time.monotonic() < end
        assert [worker.poll() for worker in workers] == [None] * 2
        time.sleep(0.005)


@pytest.fixture(name="undisturbed", scope="module")
def fixture_undisturbed(tmp_path_factory, config, tiny_dataset):
    """Returns the weights' SHA-256 of a training that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    return Cluster(config, tiny_dataset, folder).finish()


MOMENTS = {
    "they have met": lambda c: lambda: "are here" in c.said(0),
    "the first step is compiled": lambda c: lambda: "training" in c.said(0),
    "a checkpoint is written": lambda c: lambda: c.steps() > 10,
}


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("moment", MOMENTS)
def test_one_that_is_killed_ends_the_other_and_all_go_on(
    config, tiny_dataset, tmp_path, undisturbed, moment, index
):
    cluster = Cluster(config, tiny_dataset, tmp_path / "run")
    with cluster.running() as workers:
        wait_until(MOMENTS[moment](cluster), workers)
        workers[index].kill()
        assert workers[1 - index].wait(SILENT_SECONDS) == 75
        assert LOST in cluster.last_line(1 - index)
    assert cluster.finish() == undisturbed


@pytest.mark.parametrize("index", [0, 1])
def test_one_that_is_frozen_ends_the_other_and_all_go_on(
    config, tiny_dataset, tmp_path, undisturbed, index
):
    cluster = Cluster(config, tiny_dataset, tmp_path / "run")
    with cluster.running() as workers:
        wait_until(lambda: cluster.steps() > 10, workers)
        workers[index].send_signal(signal.SIGSTOP)
        assert workers[1 - index].wait(SILENT_SECONDS) == 75
        assert LOST in cluster.last_line(1 - index)
        workers[index].send_signal(signal.SIGCONT)
        assert workers[index].wait(SILENT_SECONDS) == 75
    assert cluster.finish() == undisturbed


@pytest.fixture(name="hosts")
def fixture_hosts():
    """Returns two hosts with a link between them."""
    with contextlib.ExitStack() as stack:
        try:
            hosts = stack.enter_context(connected_hosts(2))
        except OSError as error:
            pytest.skip(f"no network namespaces here: {error}")
        yield hosts


def test_a_link_that_is_cut_for_seconds_changes_nothing(
    config, tiny_dataset, tmp_path, undisturbed, hosts
):
    cluster = Cluster(config, tiny_dataset, tmp_path / "run", hosts)
    with cluster.running() as workers:
        wait_until(lambda: cluster.steps() > 10, workers)
        hosts[1].cut()
        time.sleep(5)
        hosts[1].join()
        assert [worker.wait(600) for worker in workers] == [0, 0]
    result = json.loads((cluster.workdir / files.RESULT).read_text())
    assert result["weights_sha256"] == undisturbed


def test_a_link_that_is_cut_for_good_ends_all_and_they_go_on(
    config, tiny_dataset, tmp_path, undisturbed, hosts
):
    cluster = Cluster(config, tiny_dataset, tmp_path / "run", hosts)
    with cluster.running() as workers:
        wait_until(lambda: cluster.steps() > 10, workers)
        hosts[1].cut()
        for index, worker in enumerate(workers):
            assert worker.wait(SILENT_SECONDS) == 75
            assert LOST in cluster.last_line(index)
    hosts[1].join()
    assert cluster.finish() == undisturbed
