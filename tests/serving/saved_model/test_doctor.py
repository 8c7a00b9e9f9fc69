"""Tests of the doctor: each fault that keeps a version from serving."""

import shutil

import pytest
import tensorflow as tf

from beam_jobs.errors import InputError
from serving.api import contract, protos
from serving.saved_model import doctor
from serving.saved_model.warmup import WARMUP_FILE, write_warmup
from serving.tfserving.options import TfServingSetup
from serving.tfserving.setup import write_setup
from tests.helpers.commands import run


@pytest.fixture(name="base")
def fixture_base(model_base, tmp_path):
    """Returns a copy that a test may spoil."""
    return shutil.copytree(model_base, tmp_path / "tagforest")


@pytest.fixture(name="light")
def fixture_light(versions_base, tmp_path):
    """Version 1 of a model that loads fast."""
    shutil.copytree(versions_base / "1", tmp_path / "light" / "1")
    return tmp_path / "light"


def errors(findings):
    return [f for f in findings if f.is_error]


def only(findings):
    [finding] = findings
    return finding


def test_a_fresh_export_is_well(base):
    assert doctor.examine(base) == []


def test_no_version(tmp_path):
    (tmp_path / "first").mkdir()
    stranger, nothing = doctor.examine(tmp_path)
    assert not stranger.is_error and stranger.where.endswith("first")
    assert nothing.is_error and "no folder named by a number" in nothing.what
    with pytest.raises(InputError, match="no such folder"):
        doctor.examine(tmp_path / "none")


def test_the_highest_version_counts(base):
    (base / "2").mkdir()
    assert "saved_model.pb" in only(errors(doctor.examine(base))).what


def test_damaged_variables(base):
    for path in (base / "1" / "variables").iterdir():
        path.write_bytes(path.read_bytes()[:10])
    assert "cannot be loaded" in only(errors(doctor.examine(base))).what


def test_warm_up_in_the_wrong_place(base):
    wrong = base / "1" / "assets" / "tf_serving_warmup_requests"
    (base / "1" / WARMUP_FILE).rename(wrong)
    finding = only(doctor.examine(base))
    assert not finding.is_error and f"{wrong} is not read" in finding.what


def test_damaged_warm_up(base):
    path = base / "1" / WARMUP_FILE
    path.write_bytes(path.read_bytes()[:-3])
    assert "cannot be read" in only(errors(doctor.examine(base))).what


def test_records_of_something_else(base):
    with tf.io.TFRecordWriter(str(base / "1" / WARMUP_FILE)) as writer:
        writer.write(b"\xff\xff\xff")
    assert "cannot be read" in only(errors(doctor.examine(base))).what


def write_logs(base, *logs):
    path = base / "1" / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())


def test_warm_up_that_tensorflow_serving_refuses(light):
    predict = protos.prediction_log_pb2.PredictionLog()
    predict.predict_log.SetInParent()
    write_logs(light, *[predict] * 1001)
    assert "more than 1000" in only(errors(doctor.examine(light))).what
    session = protos.prediction_log_pb2.PredictionLog()
    session.session_run_log.SetInParent()
    write_logs(light, session)
    assert "kind session_run_log" in only(errors(doctor.examine(light))).what
    classify = protos.prediction_log_pb2.PredictionLog()
    classify.classify_log.SetInParent()
    write_logs(light, classify)
    assert errors(doctor.examine(light)) == []


def test_several_versions_and_leading_zeros(light):
    shutil.copytree(light / "1", light / "002")
    (light / "2").mkdir()
    (light / "3").mkdir()
    found = doctor.examine(light, versions=[1, 2])
    assert str(light / "002") in [f.where for f in found]
    assert [f.where for f in errors(found)] == [f"version 2: {light / '2'}"]
    (light / "2").rmdir()
    assert errors(doctor.examine(light, versions=[1, 2])) == []


def test_the_command_checks_a_setup(light, tmp_path):
    setup = tmp_path / "setup"
    write_setup(setup, TfServingSetup(light, labels={"stable": 1}))

    given = ("doctor", light, "--setup", setup)
    assert "can be served" in run(*given).stdout
    config = setup / "models.config"
    config.write_text(config.read_text().replace("value: 1", "value: 4"))
    own = light / "1" / "batching_params.pbtxt"
    own.write_text("allowed_batch_sizes: 4")
    done = run(*given)
    assert done.exit_code == 1
    assert "label stable: version 4 is not served" in done.stdout
    assert f"{own}: the last of allowed_batch_sizes" in done.stdout


def test_batches_that_are_not_warmed_up(base):
    write_warmup(base / "1", [contract.TAGS], batch_sizes=(1, 4))
    finding = only(doctor.examine(base, (1, 2, 4, 8)))
    assert not finding.is_error and "[2, 8]" in finding.what


def test_foreign_model(tmp_path):
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([2, 3], name="x")])
    def halves(x):
        return {"total": tf.reduce_sum(x), "half": tf.cast(x, tf.float16)}

    module.halves = halves
    tf.saved_model.save(module, str(tmp_path / "1"), {"halves": halves})
    found = {f.where: f for f in doctor.examine(tmp_path)}
    assert found["serving_default"].is_error
    # Nothing is joined, unless that is asked for.
    for where in ("halves: output total", "halves: input x"):
        assert not found[where].is_error
        assert "--enable-batching" in found[where].what
    assert "float16" in " ".join(f.what for f in found.values())
    assert not found["assets/vocabulary.tsv"].is_error
