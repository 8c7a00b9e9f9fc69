"""The command `tagforest vocabulary`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from beam_jobs.classes.hierarchy import Hierarchy
    from beam_jobs.classes.vocabulary import Vocabulary


_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Adds the command to an app."""
    app.command("vocabulary")(vocabulary)


def vocabulary(
    file: Annotated[
        Path, typer.Argument(help="vocabulary.tsv or published dictionary.")
    ],
    diff: Annotated[
        Path | None, typer.Option(help="Another one: show what changed.")
    ] = None,
    grow_with: Annotated[
        Path | None,
        typer.Option(
            help="TSV wnid, name, parent (of own classes): classes to add at "
            "the end."
        ),
    ] = None,
    remove: Annotated[
        Path | None, typer.Option(help="TSV wnid: classes to remove.")
    ] = None,
    merge: Annotated[
        Path | None,
        typer.Option(help="TSV wnid, into: classes whose labels move."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write it; hierarchy.tsv lies beside it."),
    ] = None,
) -> None:
    """Show a vocabulary, compare two, or grow one without moving an index."""
    changes = grow_with or remove or merge
    _check_options(bool(changes), out)
    from rich.console import Console

    from beam_jobs.classes.load_classes import load_classes

    classes, hierarchy = load_classes(str(file))
    console = Console()
    if changes and out:
        grown, tree = _grow(classes, hierarchy, grow_with, remove, merge)
        _save(grown, tree, out)
        console.print(summary(grown, tree))
        _print_diff(console, classes, grown)
        typer.echo(f"written: {out}, {out.with_name('hierarchy.tsv')}")
        return
    console.print(summary(classes, hierarchy))
    if diff is not None:
        other, _ = load_classes(str(diff))
        _print_diff(console, classes, other)


def _check_options(changes: bool, out: Path | None) -> None:
    from beam_jobs.errors import InputError

    if changes and out is None:
        raise InputError("the grown vocabulary needs a file: give --out FILE")
    if out is not None and not changes:
        raise InputError(
            "--out goes with a change: --grow-with, --remove or --merge FILE"
        )
    if out is not None and out.exists():
        raise InputError(f"{out} exists; name another file with --out")


def _grow(
    classes: Vocabulary,
    hierarchy: Hierarchy,
    grow_with: Path | None,
    remove: Path | None,
    merge: Path | None,
) -> tuple[Vocabulary, Hierarchy]:
    from beam_jobs.classes import growth
    from beam_jobs.classes import wordnet as wn
    from beam_jobs.classes.own_classes import is_own, name_of
    from beam_jobs.errors import InputError

    wordnet = wn.load_wordnet()
    names, parents = growth.read_additions(grow_with)
    for wnid, name in names.items():
        if not name and not is_own(wnid):
            wn.synset_of(wnid, wordnet)
    added = {w: name or name_of(w, wordnet) for w, name in names.items()}
    grown = growth.grow(
        classes,
        added,
        growth.read_removals(remove),
        growth.read_merges(merge),
    )
    for wnid, parent in parents.items():
        if is_own(parent) and parent not in grown:
            raise InputError(
                f"{grow_with}: the parent of {wnid}, {parent}, is in neither "
                "the vocabulary nor the additions; give it a row"
            )
    return grown, hierarchy.grown(grown, wordnet, parents)


def _save(classes: Vocabulary, hierarchy: Hierarchy, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    classes.save(out)
    hierarchy.save(out.with_name("hierarchy.tsv"), classes)


def summary(classes: Vocabulary, hierarchy: Hierarchy) -> Table:
    """Returns the figures of a vocabulary for the terminal."""
    from rich.table import Table

    active = [c.index for c in classes.active]
    depth = hierarchy.depth[active]
    roots = [i for i in hierarchy.roots if classes[i].is_active]
    leaves = sum(bool(hierarchy.is_leaf[i]) for i in active)
    merged = sum(bool(c.merged_into) for c in classes)
    shown = Table(show_header=False)
    for name, value in (
        ("indices", f"{len(classes):,}"),
        ("active classes", f"{len(active):,}"),
        ("merged", f"{merged:,}"),
        ("removed", f"{len(classes) - len(active) - merged:,}"),
        ("leaves", f"{leaves:,}"),
        ("roots", _names(classes, roots)),
        ("longest path", f"{depth.max()} edges"),
        ("mean depth", f"{depth.mean():.4f} edges"),
        ("fingerprint", classes.fingerprint[:16]),
    ):
        shown.add_row(name, value)
    return shown


def _names(classes: Vocabulary, indices: list[int]) -> str:
    names = [classes[i].display_name for i in indices]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)}: {', '.join(names[:_SHOWN])}{more}"


def changes(old: Vocabulary, new: Vocabulary) -> list[tuple[str, list[str]]]:
    """Returns what changed from one vocabulary to another, kind by kind."""
    before = {c.wnid: c for c in old}
    after = {c.wnid: c for c in new}
    found: dict[str, list[str]] = {
        "added": [],
        "gone": [],
        "moved to another index": [],
        "status changed": [],
        "renamed": [],
    }
    for c in new:
        was = before.get(c.wnid)
        label = f"{c.wnid} {c.display_name}"
        if was is None:
            found["added"].append(label)
            continue
        if was.index != c.index:
            found["moved to another index"].append(
                f"{label} ({was.index} -> {c.index})"
            )
        if was.status != c.status:
            found["status changed"].append(
                f"{label} ({was.status} -> {c.status})"
            )
        if was.name != c.name:
            found["renamed"].append(f"{label} (was {was.display_name})")
    found["gone"] = [
        f"{c.wnid} {c.display_name}" for c in old if c.wnid not in after
    ]
    return list(found.items())


def _print_diff(console, old: Vocabulary, new: Vocabulary) -> None:
    if old.fingerprint == new.fingerprint:
        console.print("no difference")
    for kind, rows in changes(old, new):
        if rows:
            console.print(f"{kind}: {len(rows):,}")
        for row in rows[:_SHOWN]:
            console.print(f"  {row}", markup=False, highlight=False)
        if len(rows) > _SHOWN:
            console.print(f"  ... and {len(rows) - _SHOWN:,} more")
