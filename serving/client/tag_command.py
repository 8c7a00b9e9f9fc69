"""What `tagforest tag` does once its options are understood."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

import typer

from beam_jobs.errors import InputError
from serving.api import contract
from serving.api.heaps import limit_arenas
from serving.api.light_client import check_extra
from serving.api.prediction import TaggedImage
from serving.api.tag_options import TagOptions
from serving.client.client_options import STDIN, TagRun
from serving.client.forms import form_of, task_of
from serving.client.load_images import (
    Item,
    LoadedImage,
    check_names,
    checked,
    expand,
)
from serving.client.output import check_out, part_of, take_up, whole_file
from serving.client.tag_client import ServerError, TagClient
from serving.client.task_options import (
    check_options,
    chosen,
    may_depend_on_task,
)

if TYPE_CHECKING:
    from serving.client.image_sidecars import Sidecars

_INTERRUPTED = 130  # what shells give a command that Ctrl-C ended
_HELP = {
    "UNAVAILABLE": "is `tagforest serve` running there?",
    "DEADLINE_EXCEEDED": "a longer --timeout may help",
    "NOT_FOUND": "see --name, --version and --version-label",
    "404": "see --name, --version and --version-label",
}


def run_tag(run: TagRun) -> bool:
    """Tags images, writes what was found, counts it on standard error.

    Returns:
        Whether any image has been tagged, or there was none left to tag.

    Raises:
        InputError: a file that is not there or cannot be written, or the
            server did not answer, or refused.
    """
    check_names(name for name in run.names if name != STDIN)
    if run.out is not None:
        check_out(run.out)
    # Its threads wait for disk and server more than they compute.
    limit_arenas(2)
    start = time.monotonic()
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        client = stack.enter_context(
            TagClient(run.server, run.transport, run.client)
        )
        done = take_up(run.out) if run.out and run.resume else set()
        writer = _Writer(run, client, _open(run, stack, go_on=bool(done)))
        bar = stack.enter_context(_bar(run, done))
        try:
            options = _options(run, client)
            for found in client.tag_items(_items(run, done), options):
                # Of an image with tags the reason is empty.
                counts[writer.write(found).reason] += 1
                bar.update()
        except ServerError as error:
            raise _failed(run, client.address, error, counts) from error
        except KeyboardInterrupt:
            so_far = _so_far(run, counts)
            typer.echo(f"tagforest: interrupted after {so_far}", err=True)
            raise typer.Exit(_INTERRUPTED) from None
        if not counts and not done:
            raise InputError(
                f"no images in {', '.join(run.names)}; in folders, those are "
                "files that end as .jpg, .jpeg, .png, .gif, .bmp, .webp"
            )
    seconds = time.monotonic() - start
    typer.echo(_summary(counts, len(done), seconds), err=True)
    return bool(counts[""]) or not counts


def _options(run: TagRun, client: TagClient) -> TagOptions | None:
    """Returns which tags to ask for, once they suit the model."""
    if not may_depend_on_task(run):
        return None
    task = client.task()
    check_options(run, task, client.address)
    if task != contract.TAGS:
        return None
    _say_unknown(run, client)
    return run.options


def _say_unknown(run: TagRun, client: TagClient) -> None:
    """Says which classes of the options the model lacks."""
    if run.options is None:
        return
    for option in ("include", "exclude"):
        for unknown in client.unknown_classes(getattr(run.options, option)):
            typer.echo(
                f"tagforest: --{option} {unknown}: the model at "
                f"{client.address} has no such class",
                err=True,
            )


def _items(run: TagRun, done: set[str]) -> Iterator[Item]:
    if run.stdin_image:
        data = _stdin().read(contract.MAX_IMAGE_BYTES + 1)
        yield checked(STDIN, data)
        return
    for name in run.names:
        for item in expand(_stdin_names() if name == STDIN else [name]):
            if isinstance(item, LoadedImage) or item not in done:
                yield item


def _stdin() -> BinaryIO:
    """Opens standard input once more.

    At its end, Python closes `sys.stdin`, and aborts if a thread waits in it.
    """
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except OSError:  # it is no file
        return sys.stdin.buffer


def _stdin_names() -> Iterator[str]:
    """Yields the lines of standard input as they come.

    Raises:
        InputError: they are no names, but an image.
    """
    for number, line in enumerate(_stdin()):
        if number == 0 and line.startswith((b"\xff\xd8\xff", b"\x89PNG")):
            raise InputError(
                "standard input is an image; - takes a list of names, "
                "--stdin-image takes an image"
            )
        name = os.fsdecode(line.rstrip(b"\r\n"))
        if name:
            yield name


def _open(
    run: TagRun, stack: ExitStack, *, go_on: bool
) -> Callable[[str], object]:
    """Returns what writes text where it is wanted."""
    if run.out is None:
        return lambda text: typer.echo(text, nl=False)
    return stack.enter_context(whole_file(run.out, go_on=go_on)).write


class _Writer:
    """Writes what was found, after a header that says what the model does.

    There is none where nothing comes.
    """

    def __init__(
        self, run: TagRun, client: TagClient, write: Callable[[str], object]
    ):
        self._run, self._client, self._write = run, client, write
        self._task = ""
        self._sidecars: Sidecars | None = None
        if run.sidecars.xmp:
            check_extra("xmp", "--xmp")
            from serving.client.image_sidecars import Sidecars

            self._sidecars = Sidecars(run, client)

    def write(self, found: TaggedImage) -> TaggedImage:
        """Writes the lines of an image; returns what they say of it."""
        header = ""
        if not self._task:
            self._task = self._find_task(found)
            header = form_of(self._run.form, self._task).header
        form = form_of(self._run.form, self._task)
        shown = chosen(self._run, found, self._task)
        if self._sidecars is not None:
            shown = self._sidecars.write(shown, found)
        self._write(header + form.lines(shown))
        return shown

    def _find_task(self, found: TaggedImage) -> str:
        if found.prediction.valid:
            return task_of(found)
        # No answer tells; where no server does either, nothing was tagged.
        try:
            return self._client.task()
        except ServerError:
            return contract.TAGS


def _bar(run: TagRun, done: set[str]):
    from tqdm import tqdm

    # On one terminal, bar and tags would write over each other.
    apart = run.out is not None or not sys.stdout.isatty()
    wanted = run.progress
    if wanted is None:
        wanted = apart and sys.stderr.isatty()
    total = _total(run, done) if wanted else None
    return tqdm(
        desc="tagged",
        unit=" images",
        total=total,
        mininterval=0.5,
        disable=not wanted,
    )


def _total(run: TagRun, done: set[str]) -> int | None:
    """Counts the images; None if they come over standard input."""
    if run.stdin_image or STDIN in run.names:
        return None
    return sum(1 for _ in _items(run, done))


def _summary(counts: Counter[str], before: int, seconds: float) -> str:
    """Returns how many images there were and what became of them."""
    total = sum(counts.values())
    text = _sum(counts)
    if before:
        text += f"; {before} were tagged before"
    return f"{text}; {total / max(seconds, 1e-9):.0f} images/s"


def _sum(counts: Counter[str]) -> str:
    tagged, total = counts[""], sum(counts.values())
    unit = "image" if total == 1 else "images"
    text = f"{total} {unit} = {tagged} tagged + {total - tagged} not"
    failed = sorted((reason, n) for reason, n in counts.items() if reason)
    if failed:
        text += " (" + ", ".join(f"{n} {reason}" for reason, n in failed) + ")"
    return text


def _so_far(run: TagRun, counts: Counter[str]) -> str:
    """Returns what a run that ends early has, and where."""
    text = _sum(counts)
    if not counts:
        return text
    if run.out is None:
        return f"{text}, printed above"
    text += f", kept in {part_of(run.out)}"
    if run.form == "json":
        text += ", where --resume goes on"
    return text


def _failed(
    run: TagRun, address: str, error: ServerError, counts: Counter[str]
) -> InputError:
    advice = _HELP.get(error.code)
    end = f"; {advice}" if advice else ""
    if not counts:
        return InputError(
            f"the server at {address} gave no tags ({error}){end}"
        )
    return InputError(
        f"the server at {address} gave no more tags ({error}) after "
        f"{_so_far(run, counts)}{end}"
    )
