"""The command as users meet it: help is quick, wrong input is one line.

All wrong inputs go through `main` in one process, because importing Beam
takes seconds; two go through the real command.
"""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

COMMANDS = (
    "calibrate",
    "cooccurrence",
    "dataset",
    "demo",
    "download",
    "evaluate",
    "export",
    "features",
    "pipeline",
    "relabel",
    "scenes",
    "serve",
    "similar",
    "tag",
    "train",
    "vocabulary",
)
LABELS = "train-annotations-human-imagelabels.csv"
HEADER = "ImageID,Source,LabelName,Confidence\n"
NAMES = "LabelName,DisplayName\n/m/d,Dog\n"

_HELP = """
import json, sys
from typer.testing import CliRunner
from tfx_pipeline.cli import app

heavy = (
    "tensorflow", "keras", "apache_beam", "tfx", "matplotlib", "numba",
    "pyarrow",
)
runs = [[], *([name] for name in json.loads(sys.argv[1]))]
done = [CliRunner().invoke(app, [*run, "--help"]) for run in runs]
print(json.dumps({
    "statuses": [result.exit_code for result in done],
    "root": done[0].output,
    "heavy": [name for name in heavy if name in sys.modules],
}))
"""

# Real file descriptors, so that no library can write past the capture.
_CASES = """
import json, os, sys, tempfile
from tfx_pipeline.cli import main

def run(arguments, changes):
    sys.argv = ["tagforest", *arguments]
    os.environ.update(changes)
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code
        except BaseException as error:
            status = repr(error)
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os.dup2(kept[0], 1), os.dup2(kept[1], 2)
        for name in changes:
            del os.environ[name]
        err.seek(0)
        return {
            "status": status,
            "stderr": err.read().decode(),
            "tensorflow": "tensorflow" in sys.modules,
        }

cases = json.load(sys.stdin)
print(json.dumps([run(case["arguments"], case["env"]) for case in cases]))
"""


@dataclass(frozen=True)
class Case:
    """One wrong input; {root} and {port} are filled in.

    Attributes:
        arguments: of the command.
        said: what the line must contain.
        wordnet: TAGFOREST_WORDNET, if set.
        defect: what is known to be wrong; the test must fail.
    """

    arguments: str
    said: str
    wordnet: str = ""
    defect: str = ""


CASES = {
    # The paths below {root} are made in `folders`.
    "dataset no source": Case("dataset --out {root}/d", "--imagenet FOLDER"),
    "dataset no imagenet folder": Case(
        "dataset --imagenet {root}/none --out {root}/d",
        "no such folder: {root}/none",
    ),
    "dataset no open images folder": Case(
        "dataset --open-images {root}/none --out {root}/d",
        "no such folder: {root}/none",
    ),
    "dataset no image": Case(
        "dataset --imagenet {root}/empty --out {root}/d",
        "{root}/empty: no ImageNet images",
    ),
    "dataset empty CSV": Case(
        "dataset --open-images {root}/empty_csv --out {root}/d",
        "{root}/empty_csv/" + LABELS + ":1: the header lacks ImageID",
    ),
    "dataset malformed labels": Case(
        "dataset --open-images {root}/malformed_labels --out {root}/d",
        "{root}/malformed_labels/" + LABELS + ":2: 4 fields are needed",
    ),
    "dataset malformed names": Case(
        "dataset --open-images {root}/malformed_names --out {root}/d",
        "{root}/malformed_names/class-descriptions.csv:3: ",
    ),
    "dataset open quote": Case(
        "dataset --open-images {root}/open_quote --out {root}/d",
        "{root}/open_quote/" + LABELS + ":2: ",
    ),
    "dataset names are not text": Case(
        "dataset --open-images {root}/binary_names --out {root}/d",
        "{root}/binary_names/class-descriptions.csv",
    ),
    "dataset unknown wnid": Case(
        "dataset --imagenet {root}/unknown_wnid --out {root}/d",
        "unknown WordNet id n99999999",
    ),
    "dataset unknown split": Case(
        "dataset --imagenet {root}/unknown_wnid --splits test=1 --out {root}/d",
        "'test=1'",
    ),
    "dataset confidence": Case(
        "dataset --open-images {root}/sound --min-confidence 2 --out {root}/d",
        "min_confidence must be over 0 and at most 1; received: 2.0",
    ),
    "dataset no vocabulary": Case(
        "dataset --open-images {root}/sound --vocabulary {root}/none "
        "--out {root}/d",
        "no such file: {root}/none",
    ),
    "dataset no WordNet": Case(
        "dataset --open-images {root}/sound --out {root}/d",
        "no WordNet 3.0 database in {root}/empty",
        wordnet="{root}/empty",
    ),
    "dataset output is a file": Case(
        "dataset --open-images {root}/sound --out {root}/sound/images/a.jpg",
        "{root}/sound/images/a.jpg is a file",
    ),
    "dataset unknown runner": Case(
        "dataset --open-images {root}/sound --out {root}/d --runner Nonesuch",
        "--runner Nonesuch",
    ),
    "dataset mistyped option": Case(
        "dataset --open-images {root}/sound --out {root}/d --min-image 5",
        "did you mean --min-images?",
    ),
    "dataset list without dictionary": Case(
        "dataset --tencent-lists {root}/rows.txt --out {root}/d",
        "--tencent-lists needs the published dictionary",
    ),
    "dataset no list": Case(
        "dataset --tencent-lists {root}/none.txt --out {root}/d",
        "no such file: {root}/none.txt",
    ),
    "dataset CSV without labels": Case(
        "dataset --csv {root}/rows.txt --out {root}/d", "{root}/rows.txt"
    ),
    "dataset COCO is no JSON": Case(
        "dataset --coco {root}/rows.txt --images {root} --out {root}/d",
        "{root}/rows.txt",
    ),
    "dataset nothing to grow": Case(
        "dataset --open-images {root}/sound --grow --out {root}/d",
        "name one as base",
    ),
    "dataset negative cap": Case(
        "dataset --open-images {root}/sound --validation-per-class -1 "
        "--out {root}/d",
        "must be 0 (none) or more",
    ),
    "dataset short side": Case(
        "dataset --open-images {root}/sound --short-side 4 --out {root}/d",
        "short_side must be at least 8",
    ),
    "dataset unknown bucket": Case(
        "dataset --open-images {root}/sound --out nowhere://bucket/d",
        "no file system for nowhere://",
    ),
    "dataset no pairs": Case(
        "dataset --open-images {root}/sound --cooccurrence {root}/none.tsv "
        "--out {root}/d",
        "no such file: {root}/none.tsv",
    ),
    "dataset Dataflow with a local folder": Case(
        "dataset --open-images {root}/sound --out {root}/d "
        "--runner DataflowRunner",
        "DataflowRunner",
    ),
    "relabel no data set": Case(
        "relabel {root}/none --out {root}/d", "{root}/none is no data set"
    ),
    "relabel unknown rule": Case(
        "relabel {root}/none --out {root}/d --without-rule guess",
        "one of ancestor, co_occurrence; received: guess",
    ),
    "download no list": Case(
        "download {root}/none.txt --out {root}/d", "{root}/none.txt"
    ),
    "download unknown reason": Case(
        "download {root}/rows.txt --out {root}/d --replay luck", "luck"
    ),
    "cooccurrence nothing to count": Case(
        "cooccurrence --out {root}/pairs.tsv", "--scores"
    ),
    "vocabulary no file": Case(
        "vocabulary {root}/none.tsv", "no such file: {root}/none.tsv"
    ),
    "dataset damaged manifest": Case(
        "dataset --open-images {root}/sound --out {root}/damaged",
        "{root}/damaged/manifest.json is damaged",
    ),
    "scenes output is a file": Case(
        "scenes {root}/sound/images/a.jpg", "a.jpg is a file"
    ),
    "demo output is a file": Case(
        "demo {root}/sound/images/a.jpg", "a.jpg is a file"
    ),
    "train broken config": Case(
        "train {root}/empty --workdir {root}/w --config {root}/broken.py",
        "{root}/broken.py cannot be read as a config: ZeroDivisionError",
    ),
    "pipeline no source": Case("pipeline --root {root}/p", "--imagenet FOLDER"),
    "pipeline no imagenet folder": Case(
        "pipeline --imagenet {root}/none --root {root}/p",
        "no such folder: {root}/none",
    ),
    "pipeline unknown config": Case(
        "pipeline --imagenet {root}/unknown_wnid --root {root}/p "
        "--config resnet9000",
        "no config is called 'resnet9000'",
    ),
    "train no data set": Case(
        "train {root}/empty --workdir {root}/w",
        "{root}/empty is no data set",
    ),
    "train unknown config": Case(
        "train {root}/empty --workdir {root}/w --config resnet9000",
        "no config is called 'resnet9000'",
    ),
    "train unknown field": Case(
        "train {root}/empty --workdir {root}/w --set schedule.epoch=3",
        "'schedule.epoch=3'",
    ),
    "train wrong type": Case(
        "train {root}/empty --workdir {root}/w --set schedule.epochs=many",
        "schedule.epochs",
    ),
    "train wrong value": Case(
        "train {root}/empty --workdir {root}/w --set schedule.batch_size=0",
        "batch_size",
    ),
    "evaluate no training": Case(
        "evaluate {root}/none {root}/empty", "no such folder: {root}/none"
    ),
    "evaluate no data set": Case(
        "evaluate {root}/empty {root}/none", "{root}/none is no data set"
    ),
    "features other ending": Case(
        "features {root} {root} --out {root}/f.csv", ".npz or .parquet"
    ),
    "similar no features": Case(
        "similar {root}/sound/images/a.jpg --features {root}/f.npz",
        "tagforest features WORKDIR",
    ),
    "export no training": Case(
        "export {root}/none --out {root}/e", "no such folder: {root}/none"
    ),
    "serve port in use": Case(
        "serve {root}/empty --grpc-port {port} --rest-port 0", "port {port}"
    ),
    "serve no model": Case(
        "serve {root}/none --grpc-port 0 --rest-port 0",
        "no such folder: {root}/none",
    ),
    "tag no image": Case("tag {root}/none.jpg", "cannot read {root}/none.jpg"),
}


def open_images(folder: Path, labels: str, names: str = NAMES) -> None:
    (folder / "images").mkdir(parents=True)
    (folder / LABELS).write_text(labels)
    (folder / "class-descriptions.csv").write_text(names, encoding="latin-1")
    (folder / "images" / "a.jpg").write_bytes(picture())


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("cli")
    (root / "empty").mkdir()
    (root / "damaged").mkdir()
    (root / "damaged" / "manifest.json").write_text("{")
    (root / "broken.py").write_text("1 / 0\n")
    (root / "rows.txt").write_text("a.jpg\t0:1\n")
    good = HEADER + "a,verification,/m/d,1\n"
    open_images(root / "sound", good)
    open_images(root / "empty_csv", "")
    open_images(root / "malformed_labels", HEADER + "a,/m/d,1\n")
    open_images(root / "malformed_names", good, NAMES + "only one field\n")
    open_images(root / "open_quote", HEADER + '"a,verification,/m/d,1\n')
    open_images(root / "binary_names", good, NAMES + "/m/e,\xff\xfe\n")
    (root / "unknown_wnid").mkdir()
    with tarfile.open(root / "unknown_wnid" / "n99999999.tar", "w") as tar:
        member = tarfile.TarInfo("n99999999_1.JPEG")
        member.size = len(picture())
        tar.addfile(member, io.BytesIO(picture()))
    return root


@pytest.fixture(scope="module")
def port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture(scope="module")
def results(folders, port) -> dict[str, dict]:
    def fill(text: str) -> str:
        return text.format(root=folders, port=port)

    cases = [
        {
            "arguments": fill(case.arguments).split(),
            "env": _environment(fill(case.wordnet)),
        }
        for case in CASES.values()
    ]
    done = python("-c", _CASES, stdin=json.dumps(cases))
    assert done.returncode == 0, done.stderr
    return dict(zip(CASES, json.loads(done.stdout), strict=True))


def python(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        timeout=240,
    )


def test_help_is_light_and_complete():
    done = python("-c", _HELP, json.dumps(COMMANDS))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["statuses"] == [0] * (1 + len(COMMANDS))
    assert found["heavy"] == []
    assert all(name in found["root"] for name in COMMANDS)


def test_no_command_is_forgotten_here():
    from typer.main import get_command

    from tfx_pipeline.cli import app

    assert sorted(get_command(app).commands) == sorted(COMMANDS)


def test_tensorboard_starts():
    # Its start needs more of setuptools than newer ones have.
    done = python("-m", "tensorboard.main", "--version")
    assert done.returncode == 0, done.stderr


def _environment(wordnet: str) -> dict[str, str]:
    return {"TAGFOREST_WORDNET": wordnet} if wordnet else {}


def _parameter(name: str):
    defect = CASES[name].defect
    xfail = pytest.mark.xfail(reason=defect, strict=True)
    return pytest.param(name, marks=[xfail] if defect else [])


@pytest.mark.parametrize("name", [_parameter(name) for name in CASES])
def test_wrong_input(name, results, folders, port):
    result = results[name]
    said = CASES[name].said.format(root=folders, port=port)
    assert result["status"] == 2, result
    assert said in result["stderr"]
    assert result["stderr"].startswith("tagforest: ")
    assert result["stderr"].count("\n") == 1
    assert not result["tensorflow"]


@pytest.mark.parametrize("name", ["train unknown config", "tag no image"])
def test_wrong_input_through_the_real_command(name, folders):
    case = CASES[name]
    arguments = case.arguments.format(root=folders, port=0).split()
    done = python("-m", "tfx_pipeline.cli", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("tagforest: ")
    assert done.stderr.count("\n") == 1
    assert case.said.format(root=folders) in done.stderr
