"""The guides: every command runs or is read by the real options.

The default run takes the tutorial from scenes to tags; `make test-large` runs
every command of every guide, but for those of NOT_RUN.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.bench import __main__ as benchmarks
from tests.helpers import guides as read
from tests.helpers.guides import ROOT, Command

GUIDES = read.guides()
TUTORIAL = ROOT / "serving" / "demo" / "TUTORIAL.md"
# The benchmarks' commands are for hours of real data.
RUN = [guide for guide in GUIDES if guide.name != "BENCHMARKS.md"]
# What starts a command of `NOT_RUN` -> why it is only read here.
NOT_RUN = {
    "make": "the target is looked up; CI runs `make lint` and `make test`",
    "docker": "needs Docker's engine",
    "tensorboard": "runs until it is stopped; test_tensorboard_starts",
    "python -m pytest": "this is it",
    "python -m tests.bench": "minutes; its own parser reads it",
    "tagforest dataset --imagenet gs:": "needs a bucket and Dataflow",
    "tagforest bulk models/tagforest photos gs:": "needs a bucket",
    "tagforest promote": "its models.config is for TensorFlow Serving in "
    "Docker; tests/serving/tfserving/test_labels.py runs it",
    "tagforest rollback": "as `tagforest promote`",
    "tagforest tag --stdin-image --server https://host": "needs that host's "
    "certificate; tests/serving/server/test_tls.py has one",
    "tagforest tag photos/ https://example.org": "asks a foreign server; "
    "tests/serving/client/test_tag_client.py runs it",
}
# Of a command -> what makes it cheap, on top of what the guide says.
CHEAPER = {
    "scenes": "--images-per-class 1 --scenes 160 --image-size 64",
    "train": "--set schedule.epochs=1 --set data.image_size=32"
    " --set network.blocks=1,1 --set network.filters=16,32"
    " --set network.strides=2,2",
    "pipeline": "--set schedule.epochs=1 --min-f1 0",
    "download": "--allow-private",
    "serve": "--grpc-port 0 --rest-port 0",
}
FIRST = ("scenes", "dataset", "train", "calibrate", "export", "tag")
# Options of others: Beam's, Docker's, make's.
FOREIGN = {
    *("--runner", "--project", "--region", "--temp_location"),
    *("--sdk_container_image", "--direct_num_workers", "--direct_running_mode"),
    *("--dask_client_address", "--build-arg", "--target", "--help"),
    *("--logdir", "--all-files", "--durations", "--ssl-config-file"),
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module", name="click_commands")
def fixture_click_commands():
    from typer.main import get_command

    from tfx_pipeline.cli import app

    return get_command(app).commands


def why_not(command: Command) -> str | None:
    return next(
        (why for start, why in NOT_RUN.items() if starts(command, start)), None
    )


def starts(command: Command, start: str) -> bool:
    return bool(re.match(rf"{re.escape(start)}(?![\w-])", command.text))


def parse(words: list[str], click_commands) -> None:
    """Reads one command's words as it would; runs nothing."""
    name, *rest = words
    end = next((i for i, w in enumerate(rest) if w in "|<>"), len(rest))
    command = click_commands[name]
    context = command.make_context(name, rest[:end])
    # What goes on to Beam: nobody else would miss an option of ours there.
    assert set(read.options_in(" ".join(context.args))) <= FOREIGN


@pytest.mark.parametrize("guide", GUIDES, ids=name_of)
def test_every_command_is_read(guide, click_commands):
    for command in read.commands(guide):
        words = command.words
        for place, word in enumerate(words):
            if word == "tagforest":
                parse(words[place + 1 :], click_commands)
        if words[0] == "make":
            makefile = (ROOT / "Makefile").read_text()
            assert f"\n{words[1]}: " in makefile, command
        if words[:2] == ["python", "-m"]:
            look_up(words[2:])


def look_up(words: list[str]) -> None:
    """Finds the paths that `python -m` names; parses what benchmarks take."""
    module, *names = words
    if module == "tests.bench":
        benchmarks.parse(names)
    paths = [n.partition("::")[0] for n in names if n.startswith("tests/")]
    assert [p for p in paths if not (ROOT / p).exists()] == []


def test_a_renamed_option_is_missed(click_commands):
    with pytest.raises(Exception, match="No such option: --workfolder"):
        parse(
            ["train", "dataset", "--workfolder", "runs/first"], click_commands
        )
    # Here unknown options go on to Beam.
    with pytest.raises(AssertionError, match="--no-such-thing"):
        parse(
            ["relabel", "dataset", "--out", "b", "--no-such-thing", "1"],
            click_commands,
        )


def test_blocks_are_read_as_a_shell_does(tmp_path, monkeypatch):
    monkeypatch.setattr(read, "ROOT", tmp_path)
    guide = tmp_path / "GUIDE.md"
    guide.write_text(
        "Text.\n```sh\na --b-c=1 \\\n  'd e'   # why\nf . |\n  g < h\n```\n"
        "`i --j2` and x--k.\n"
    )
    first, second = read.commands(guide)
    assert (first.place, first.words) == ("GUIDE.md:2", ["a", "--b-c=1", "d e"])
    assert first.is_plain
    assert second.words == ["f", ".", "|", "g", "<", "h"]
    assert not second.is_plain
    assert list(read.spans(guide)) == ["i --j2"]
    assert read.options_in(guide.read_text()) == ["--b-c", "--j2"]


@pytest.mark.parametrize("guide", GUIDES, ids=name_of)
def test_every_option_in_the_text_exists(guide, click_commands):
    options = {
        name: {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        for name, command in click_commands.items()
    }
    everywhere = set().union(*options.values()) | FOREIGN
    for span in read.spans(guide):
        words = span.split()
        known = everywhere
        if words[0] == "tagforest":
            known = options.get(" ".join(words[1:2]), everywhere) | FOREIGN
        if words[:3] == ["python", "-m", "tests.bench"]:
            look_up(words[2:])
            continue
        assert set(read.options_in(span)) <= known, span


@pytest.mark.parametrize("guide", GUIDES, ids=name_of)
def test_every_link_leads_somewhere(guide):
    lost = [
        link
        for link in read.links(guide)
        if not (guide.parent / link).resolve().exists()
    ]
    assert lost == []


@pytest.mark.parametrize("guide", GUIDES, ids=name_of)
def test_every_module_named_exists(guide):
    modules = [s for s in read.spans(guide) if re.fullmatch(r"[\w/]+\.py", s)]
    every = [name_of(p) for p in ROOT.rglob("*.py") if ".venv" not in p.parts]
    assert [m for m in modules if not any(e.endswith(m) for e in every)] == []


@pytest.mark.parametrize("package", ["beam_jobs", "model", "serving"])
def test_every_folder_is_described(package):
    text = (ROOT / package / "README.md").read_text()
    table = text.partition("\n## Where things are\n")[2]
    folders = {p.parent.name for p in (ROOT / package).glob("*/__init__.py")}
    assert sorted(re.findall(r"^\| `(\w+)/` \|", table, re.M)) == sorted(
        folders
    )


def test_every_reason_is_needed():
    every = [c for guide in GUIDES for c in read.commands(guide)]
    idle = [s for s in NOT_RUN if not any(starts(c, s) for c in every)]
    assert idle == []


class Walk:
    """Runs commands in one folder, each once, as a reader would."""

    def __init__(self, click_commands):
        self.click_commands = click_commands
        self._done: set[Command] = set()
        self._opened = ExitStack()
        self._server: subprocess.Popen | None = None
        self._addresses: dict[str, str] = {}

    def run(self, command: Command) -> None:
        if command in self._done:
            return
        self._done.add(command)
        first, name, *_ = [*command.words, ""]
        cheaper = CHEAPER.get(name, "") if first == "tagforest" else ""
        text = f"{command.text} {cheaper}".strip()
        if text.startswith("tagforest serve"):
            self._serve(shlex.split(text)[1:])
        elif first == "tagforest" and command.is_plain:
            _, name, *rest = shlex.split(self._with_addresses(text))
            click_command = self.click_commands[name]
            status = click_command.main(rest, standalone_mode=False)
            assert status in (None, 0), command
        else:
            in_shell(self._with_addresses(text))

    def python(self, text: str) -> None:
        exec(compile(self._with_addresses(text), "guide", "exec"), {})

    def _with_addresses(self, text: str) -> str:
        """Puts a running server where a text means one."""
        asks = re.search("tagforest tag|:850[01]", text)
        if not asks:
            return text
        if not self._addresses:
            self._serve_here()
        grpc, rest = (self._addresses[kind] for kind in ("gRPC", "REST"))
        server = rest if "--transport rest" in text else grpc
        for old, new in (
            ("tagforest tag", f"tagforest tag --server {server}"),
            ("127.0.0.1:8500", grpc),
            ("localhost:8501", rest),
        ):
            text = text.replace(old, new)
        return text

    def _serve_here(self) -> None:
        """Starts the server of `tagforest serve` in this process."""
        from serving.server.local_server import ServerOptions, running_server

        options = ServerOptions(grpc_port=0, rest_port=0)
        models = Path("models/tagforest").absolute()
        server = self._opened.enter_context(running_server(models, options))
        self._addresses = {
            "gRPC": server.grpc_address,
            "REST": server.rest_address,
        }

    def _serve(self, words: list[str]) -> None:
        """Starts the command itself; it serves until the next one does."""
        self.stop()
        with socket.create_server(("127.0.0.1", 0)) as free:
            page = ["--ui-port", str(free.getsockname()[1])]
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tfx_pipeline.cli", *words, *page],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in self._server.stdout or ():
            kind, _, address = line.strip().partition("  ")
            self._addresses[kind] = re.sub("https?://|/.*", "", address)
            if kind == "REST":
                return
        self._server = None
        pytest.fail(f"tagforest {' '.join(words)} ended before it served")

    def stop(self) -> None:
        """Ends the server as Ctrl-C does."""
        self._opened.close()
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            self._server.communicate(timeout=60)
            assert self._server.returncode in (0, 130)
        self._server, self._addresses = None, {}


def in_shell(text: str) -> None:
    """Runs a command as a shell does, with `tagforest` on the PATH."""
    scripts = str(Path(sys.executable).parent)
    path = os.pathsep.join([scripts, os.environ["PATH"]])
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=120,
    )


@pytest.fixture(scope="module", name="walk")
def fixture_walk(tmp_path_factory, click_commands):
    folder = tmp_path_factory.mktemp("guides")
    walk = Walk(click_commands)
    with pytest.MonkeyPatch.context() as patch, image_server(folder) as address:
        patch.chdir(folder)
        prepare(folder, address)
        yield walk
    walk.stop()


def prepare(folder: Path, address: str) -> None:
    """Makes what the guides take for granted: a reader's own files."""
    from beam_jobs.scenes.write_scenes import draw_unseen

    scenes = draw_unseen(folder / "photos", 12, seed=0, image_size=64)
    for name in ("cat.jpg", "a.jpg"):
        shutil.copy(scenes[0].path, folder / name)
    write_own_images(folder, [s.path for s in scenes])
    texts = {
        "train_urls.txt": "".join(
            f"http://{address}/photos/{s.path.name}\t1:1\t2:0.7\n"
            for s in scenes
        ),
        "dictionary_and_semantic_hierarchy.txt": "category_index\t"
        "category_id\tindex_of_parent_category\tcategory name\n"
        "0\tn00001740\t-1\tentity\n1\tn02084071\t0\tdog\n"
        "2\tn02121620\t0\tcat\n",
        "more.tsv": "wnid\tname\nn04004767\tprinter\n",
        "gone.tsv": "wnid\nn02084071\n",
        "same.tsv": "wnid\tinto\nn02121620\tn00015388\n",
    }
    texts["models.config"] = (
        'model_config_list { config { name: "tagforest" base_path: '
        f'"{folder}/models/tagforest" model_platform: "tensorflow" }} }}\n'
    )
    for name, text in texts.items():
        (folder / name).write_text(text)


def write_own_images(folder: Path, images: list[Path]) -> None:
    """Writes a folder a class, tables of words, and a tool's export."""
    for i, image in enumerate(images):
        place = folder / "animals" / ("dog", "cat")[i % 2] / f"{i}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, place)
    for name, words in (
        ("words.csv", ("dog;GoPro", "crane")),
        ("woerter.csv", ("Hund", "Katze")),
    ):
        rows = [f"photos/{p.name},{words[i % 2]}" for i, p in enumerate(images)]
        (folder / name).write_text("\n".join(["image,labels", *rows]) + "\n")
    (folder / "wn-data-deu.tab").write_text(
        "02084071-n\tdeu:lemma\tHund\n02121620-n\tdeu:lemma\tKatze\n"
    )
    value = {"type": "choices", "value": {"choices": ["dog"]}}
    tasks = [
        {
            "id": i,
            "data": {"image": f"/data/upload/1/0a1b2c3d-{p.name}"},
            "annotations": [{"id": i, "result": [value]}],
        }
        for i, p in enumerate(images)
    ]
    (folder / "export.json").write_text(json.dumps(tasks))


@contextmanager
def image_server(folder: Path) -> Iterator[str]:
    """Serves a folder over HTTP; yields host:port."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


STEPS = [
    command
    for command in read.commands(TUTORIAL)
    if command.words[0] == "tagforest" and command.words[1] in FIRST
]


@pytest.mark.parametrize("step", range(len(STEPS)), ids=lambda i: STEPS[i].text)
def test_the_tutorial_from_scenes_to_tags(step, walk):
    for command in STEPS[: step + 1]:
        walk.run(command)


@pytest.mark.large
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("guide", RUN, ids=name_of)
def test_every_command_runs(guide, walk):
    # The other guides start with what the tutorial has made.
    before = [] if guide == TUTORIAL else STEPS
    for command in [*before, *read.commands(guide)]:
        if why_not(command) is None:
            walk.run(command)
    for _, text in read.blocks(guide, "python"):
        walk.python(text)
