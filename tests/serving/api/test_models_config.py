from __future__ import annotations

from pathlib import Path

import pytest

from beam_jobs.errors import InputError
from serving.api.models_config import (
    ModelConfig,
    ModelLog,
    logs_of,
    models_of,
    read_config,
    write_config,
)
from serving.api.request_log_options import RequestLogOptions
from serving.api.version_policy import VersionPolicy

TEXT = """
model_config_list {
  config {
    name: "dogs" base_path: "/m/dogs" model_platform: "tensorflow"
    model_version_policy { specific { versions: 3 versions: 1 } }
    version_labels { key: "stable" value: 1 }
    version_labels { key: "canary" value: 3 }
  }
  config { name: "cats" base_path: "file:///m/cats" model_type: TENSORFLOW }
  config {
    name: "all" base_path: "/m/all" model_platform: "tensorflow"
    model_version_policy { all {} }
  }
  config {
    name: "two" base_path: "/m/two" model_platform: "tensorflow"
    model_version_policy { latest { num_versions: 2 } }
  }
}
"""


def test_what_a_file_says(tmp_path):
    path = tmp_path / "models.config"
    path.write_text(TEXT)
    config = read_config(path)
    labels = {"stable": 1, "canary": 3}
    assert models_of(config) == (
        ModelConfig(
            "dogs", Path("/m/dogs"), VersionPolicy(specific=(1, 3)), labels
        ),
        ModelConfig("cats", Path("/m/cats"), VersionPolicy()),
        ModelConfig("all", Path("/m/all"), VersionPolicy(latest=None)),
        ModelConfig("two", Path("/m/two"), VersionPolicy(latest=2)),
    )
    write_config(path, config)
    assert read_config(path) == config
    assert [p.name for p in tmp_path.iterdir()] == ["models.config"]


def logged(collector: str, rate: float, name: str = "a") -> str:
    return (
        f'config {{ name: "{name}" base_path: "/a" model_platform: "tensorflow"'
        f" logging_config {{ log_collector_config {{ {collector} }} "
        f"sampling_config {{ sampling_rate: {rate} }} }} }}"
    )


MODEL = 'config { name: "a" base_path: "/a" model_platform: "tensorflow" }'


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        (MODEL + MODEL, "Illegal to list model a multiple times"),
        ('config { name: "a" base_path: "/a" }', "Illegal setting neither"),
        (
            'config { name: "a" base_path: "/a" model_type: TENSORFLOW '
            'model_platform: "tensorflow" }',
            "Illegal setting both",
        ),
        (
            'config { name: "a" base_path: "/a" model_platform: "torch" }',
            "unsupported platform torch",
        ),
        (MODEL.replace("/a", "a"), "absolute path or URI; got base_path()=a"),
        (MODEL.replace("/a", "ftp://b/a"), "no file system for ftp"),
        (MODEL.replace('"a"', '""'), "no name"),
        (
            MODEL[:-1] + "model_version_policy { specific {} } }",
            "names no version",
        ),
        (logged('type: "kafka"', 1), "tfrecord (or empty) or jsonl; received"),
        (logged("", 1.5), "from 0 to 1; received: 1.5"),
        (logged("", 1), "must be an absolute path; received: ''"),
    ],
)
def test_what_a_file_must_not_say(tmp_path, inside, said):
    path = tmp_path / "models.config"
    path.write_text(f"model_config_list {{ {inside} }}")
    with pytest.raises(InputError) as caught:
        models_of(read_config(path))
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["{", "model_config_list { nothing: 1 }"])
def test_no_models_config(tmp_path, text):
    path = tmp_path / "models.config"
    with pytest.raises(InputError, match="cannot read"):
        read_config(path)
    path.write_text(text)
    with pytest.raises(InputError, match="is no models.config"):
        read_config(path)


def test_an_empty_file_lists_nothing(tmp_path):
    path = tmp_path / "models.config"
    path.write_text("")
    with pytest.raises(InputError, match="model_config_list"):
        models_of(read_config(path))


def test_a_models_own_log(tmp_path):
    path = tmp_path / "models.config"
    prefix = f'filename_prefix: "{tmp_path}/log"'
    models = (
        logged(prefix, 0.5),
        logged(f'type: "jsonl" {prefix}', 1, "b"),
        logged(prefix, 0, "off"),
    )
    path.write_text(f"model_config_list {{ {' '.join(models)} }}")
    found = models_of(read_config(path))
    tfrecord = ModelLog(tmp_path / "log.tfrecord", "tfrecord", 0.5)
    jsonl = ModelLog(tmp_path / "log.jsonl", "jsonl", 1)
    assert [model.log for model in found] == [tfrecord, jsonl, None]
    common = RequestLogOptions(files=3, images=True)
    file, options = logs_of(found, common)["a"]
    assert file == options.file == tfrecord.file
    assert (options.sample, options.files, options.images) == (0.5, 3, True)
    with pytest.raises(InputError, match="request log of --request-log"):
        logs_of(found, RequestLogOptions(file=tfrecord.file))
