"""The command as users meet it: help is quick, wrong input is one line.

All wrong inputs go through `main` in one process, because importing Beam
takes seconds; two go through the real command.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.commands import python
from tests.helpers.images import noise_image
from tests.helpers.tars import write_tar

COMMANDS = (
    "audit",
    "bulk",
    "calibrate",
    "classes",
    "cooccurrence",
    "dataset",
    "demo",
    "doctor",
    "download",
    "drift",
    "evaluate",
    "export",
    "features",
    "find-rate",
    "forget",
    "import-tf1",
    "lineage",
    "pipeline",
    "promote",
    "relabel",
    "rollback",
    "scenes",
    "serve",
    "similar",
    "tag",
    "tfserving",
    "train",
    "transfer",
    "ui",
    "vocabulary",
)
LABELS = "train-annotations-human-imagelabels.csv"
HEADER = "ImageID,Source,LabelName,Confidence\n"
IMAGE = noise_image(0)
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

cases = os.fdopen(os.dup(0))
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

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

for case in map(json.loads, cases):
    print(json.dumps(run(case["arguments"], case["env"])), flush=True)
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
    name: Case(**values)
    for name, values in json.loads(
        Path(__file__).with_name("cli_refusals.json").read_text()
    ).items()
}


def open_images(folder: Path, labels: str, names: str = NAMES) -> None:
    (folder / "images").mkdir(parents=True)
    (folder / LABELS).write_text(labels)
    (folder / "class-descriptions.csv").write_text(names, encoding="latin-1")
    (folder / "images" / "a.jpg").write_bytes(IMAGE)


def models_config(path: Path, kind: str, prefix: str) -> None:
    path.write_text(
        'model_config_list { config { name: "a" base_path: "/a" '
        'model_platform: "tensorflow" logging_config { log_collector_config { '
        f'type: "{kind}" filename_prefix: "{prefix}" }} '
        "sampling_config { sampling_rate: 1 } } } }"
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("cli")
    (root / "empty").mkdir()
    (root / "damaged").mkdir()
    (root / "damaged" / "manifest.json").write_text("{")
    (root / "broken.py").write_text("1 / 0\n")
    (root / "rows.txt").write_text("a.jpg\t0:1\n")
    models_config(root / "logging.config", "kafka", "/tmp/log")
    models_config(root / "folder.config", "jsonl", "/no/such/folder/log")
    good = HEADER + "a,verification,/m/d,1\n"
    open_images(root / "sound", good)
    open_images(root / "empty_csv", "")
    open_images(root / "malformed_labels", HEADER + "a,/m/d,1\n")
    open_images(root / "malformed_names", good, NAMES + "only one field\n")
    open_images(root / "open_quote", HEADER + '"a,verification,/m/d,1\n')
    open_images(root / "binary_names", good, NAMES + "/m/e,\xff\xfe\n")
    for name in ("7", "bare"):
        (root / "version" / name).mkdir(parents=True)
        (root / "version" / name / "saved_model.pb").touch()
    (root / "unknown_wnid").mkdir()
    members = {"n99999999_1.JPEG": IMAGE}
    write_tar(root / "unknown_wnid" / "n99999999.tar", members)
    return root


@pytest.fixture(scope="module")
def port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture(scope="module")
def refuse(folders, port):
    """Returns a function that runs the command on a case of wrong input."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _CASES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:

        def refuse(case: Case) -> dict:
            def fill(text: str) -> str:
                return text.format(root=folders, port=port)

            given = {
                "arguments": fill(case.arguments).split(),
                "env": _environment(fill(case.wordnet)),
            }
            process.stdin.write(json.dumps(given) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield refuse
        process.stdin.close()


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
def test_wrong_input(name, refuse, folders, port):
    result = refuse(CASES[name])
    said = CASES[name].said.format(root=folders, port=port)
    assert result["status"] == 2, result
    assert said in result["stderr"]
    assert result["stderr"].startswith("tagforest: ")
    assert result["stderr"].count("\n") == 1
    assert not result["tensorflow"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_an_unknown_option(command, refuse):
    result = refuse(Case(f"{command} --no-such-option", ""))
    assert result["status"] == 2, result
    # What passes options on to Beam first misses what it needs itself.
    needs = ("Missing ", "nothing to read")
    said = ("--no-such-option", *needs)
    assert any(text in result["stderr"] for text in said)
    assert result["stderr"].startswith("tagforest: ")
    assert result["stderr"].count("\n") == 1


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
