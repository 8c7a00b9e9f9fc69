"""Tests of model.monitoring.experiment_tracker, on MLflow's file store."""

import dataclasses
import json

import pytest
from mlflow import MlflowClient

from beam_jobs.errors import InputError
from model.config import LoggingConfig
from model.monitoring import experiment_tracker
from model.training.train import estimate, train
from model.workdir import TRACKED


@pytest.fixture(name="client")
def fixture_client(tmp_path, monkeypatch):
    uri = f"file://{tmp_path / 'tracked'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    # Which file stores want to be allowed by, of later versions.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "birds")
    return MlflowClient(uri)


@pytest.fixture(name="config")
def fixture_config(tiny_config):
    def make(**schedule):
        logging = LoggingConfig(
            tracker="mlflow", metric_images=0, images=0, projector_images=0
        )
        config = tiny_config(**schedule)
        return dataclasses.replace(config, logging=logging)

    return make


def only_run(client):
    experiment = client.get_experiment_by_name("birds")
    (run,) = client.search_runs([experiment.experiment_id])
    return run


def test_a_training_is_a_run(client, config, tiny_dataset, tmp_path):
    workdir = tmp_path / "first"
    result = train(config(), tiny_dataset, workdir)
    run = only_run(client)
    assert run.info.run_name == "first"
    assert run.info.status == "FINISHED"
    assert run.info.run_id == (workdir / TRACKED).read_text().strip()
    assert run.data.params["schedule.optimizer"] == config().schedule.optimizer
    assert run.data.params["workdir"] == str(workdir)
    history = json.loads((workdir / "history.json").read_text())
    points = client.get_metric_history(run.info.run_id, "loss")
    steps = result.steps // result.epochs
    assert [(p.step, p.value) for p in points] == [
        (steps * row["epoch"], pytest.approx(row["loss"], rel=1e-5))
        for row in history
    ]


def test_a_training_that_goes_on_is_the_same_run(
    client, config, tiny_dataset, tmp_path, monkeypatch
):
    log = experiment_tracker.MlflowRun.log

    def cut_off(self, values, step):
        log(self, values, step)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(experiment_tracker.MlflowRun, "log", cut_off)
        with pytest.raises(KeyboardInterrupt):
            train(config(), tiny_dataset, tmp_path / "first")
    assert only_run(client).info.status == "RUNNING"
    train(config(), tiny_dataset, tmp_path / "first")
    run = only_run(client)
    assert run.info.status == "FINISHED"
    points = client.get_metric_history(run.info.run_id, "loss")
    assert len({p.step for p in points}) == config().schedule.epochs


def test_one_that_stops_early_is_over(client, config, tiny_dataset, tmp_path):
    looks = {"validate_every": 1, "best": "loss", "stop_after": 1}
    # Of a rate that spoils it, so that no later look is better.
    made = config(epochs=9, learning_rate=30.0, **looks)
    result = train(made, tiny_dataset, tmp_path / "run")
    assert result.epochs < 9
    assert only_run(client).info.status == "FINISHED"


def test_a_dry_run_is_not_followed(client, config, tiny_dataset, tmp_path):
    estimate(config(), tiny_dataset, tmp_path / "run")
    assert client.get_experiment_by_name("birds") is None


def test_variables_that_say_nowhere_are_told(
    config, tiny_dataset, tmp_path, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://here")
    with pytest.raises(InputError, match=r"logging\.tracker: .*nowhere"):
        train(config(), tiny_dataset, tmp_path / "run")


def test_a_server_that_is_not_there_is_told(
    config, tiny_dataset, tmp_path, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(InputError, match=r"logging\.tracker: MlflowException"):
        train(config(), tiny_dataset, tmp_path / "run")


def test_one_that_fails_later_stops_nothing(
    client, config, tiny_dataset, tmp_path, monkeypatch, capfd
):
    def lost(self, values, step):
        raise ConnectionError("gone\nand more")

    monkeypatch.setattr(experiment_tracker.MlflowRun, "log", lost)
    result = train(config(), tiny_dataset, tmp_path / "run")
    said = capfd.readouterr().err
    wanted = "logging.tracker: ConnectionError: gone; the training goes on"
    assert said.count(wanted) == result.epochs
    assert only_run(client).info.status == "FINISHED"


def test_without_it_there_is_no_tracker(tiny_config, tmp_path):
    assert not experiment_tracker.make_tracking(tiny_config(), tmp_path, {})


def test_a_missing_package_is_told_before_the_long_work(
    config, tiny_dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr("model.config_outputs.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'tagforest\[mlflow\]'"):
        train(config(), tiny_dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()
