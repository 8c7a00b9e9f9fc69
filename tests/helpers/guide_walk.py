"""Walks through guides: runs their commands as a reader would."""

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

from tests.helpers.guides import ROOT, Command

# Of a command -> what makes it cheap, on top of what the guide says.
CHEAPER = {
    "scenes": "--images-per-class 1 --scenes 160 --image-size 64",
    "train": "--set schedule.epochs=1 --set data.image_size=32"
    " --set network.blocks=1,1 --set network.filters=16,32"
    " --set network.strides=2,2",
    "transfer": "--set schedule.epochs=1 --set schedule.batch_size=4",
    "transfer classify": "--train-per-class 4",
    "pipeline": "--set schedule.epochs=1 --min-f1 0",
    "download": "--allow-private",
    "serve": "--grpc-port 0 --rest-port 0",
}


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
        kind = " ".join(command.words[1:3])
        cheaper = CHEAPER.get(name, "") if first == "tagforest" else ""
        cheaper += " " + CHEAPER.get(kind, "")
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
