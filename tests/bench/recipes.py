"""`python -m tests.bench.recipes DATASET OUT PFLOP SEEDS RECIPE ...`.

Trains `tiny_imagenet` with changes, at equal floating-point operations, and
judges by the validation split: `python -m tests.bench.recipes photographs/
recipes/ 0.178 0,1,2 shipped adamw mirrored`. A recipe is ingredients of
`INGREDIENTS` joined by `+`, the later ones winning. What is in OUT already is
not trained again: the table grows, and so does the picture.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean

import matplotlib
import matplotlib.pyplot as plt

from model.config import Config, override
from model.configs import tiny_imagenet
from model.network.cost import image_cost
from model.network.make_model import make_model

_ADAMW = {
    "optimizer": "adamw",
    "batch_size": 64,
    "learning_rate": 2e-3,
    "warmup_learning_rate": 2e-4,
    "weight_decay": 0.05,
}
_MUON = {
    "optimizer": "muon",
    "batch_size": 256,
    "learning_rate": 0.02,
    "warmup_learning_rate": 0.002,
    "weight_decay": 0.02,
}


def _of(section: str, **fields) -> list[str]:
    return [f"{section}.{name}={value}" for name, value in fields.items()]


# The paper's, for small batches: a floor for r, all negatives, the sum.
_PAPER = _of(
    "loss",
    kind="paper",
    floor=0.3,
    absent_probability=1.0,
    negative_ratio=0.0,
    leaf_weight=0.0,
)
# What shipped up to November 2026, but for its 16 epochs.
_FIRST = (
    *_PAPER,
    *_of("schedule", average=0.0, **_ADAMW),
    *_of("network", blocks=(2, 2, 1), shortcut="strided", squeeze=0),
    *_of("data", image_size=64, crop_area=(0.5, 1.0), colour_probability=0.0),
)
INGREDIENTS: dict[str, Sequence[str]] = {
    "shipped": (),
    "first": _FIRST,
    "muon_alone": (*_FIRST, *_of("schedule", **_MUON)),
    "adamw": _of("schedule", **_ADAMW),
    "lion": _of(
        "schedule",
        **_ADAMW | {"optimizer": "lion", "learning_rate": 6e-4},
    ),
    "batch128": _of("schedule", batch_size=128),
    "batch512": _of("schedule", batch_size=512),
    "rate.01": _of("schedule", learning_rate=0.01, warmup_learning_rate=0.001),
    "rate.04": _of("schedule", learning_rate=0.04, warmup_learning_rate=0.004),
    "rate.08": _of("schedule", learning_rate=0.08, warmup_learning_rate=0.008),
    "decay.1": _of("schedule", weight_decay=0.1),
    "no_average": _of("schedule", average=0.0),
    "average.999": _of("schedule", average=0.999),
    "mirrored": _of("network", mirrored=True),
    "shallower": _of("network", blocks=(2, 2, 1)),
    "wider": _of("network", filters=(96, 192, 384)),
    "crops.5": _of("data", crop_area=(0.5, 1.0)),
    "crops.2": _of("data", crop_area=(0.2, 1.0)),
    "colours": _of(
        "data", colour_probability=0.5, contrast=(0.5, 1.5), hue=0.2
    ),
    "no_light": _of("data", colour_probability=0.0),
    "cutmix": _of("data", cutmix_alpha=1.0, mix_probability=0.3),
    "cutmix.5": _of("data", cutmix_alpha=1.0, mix_probability=0.5),
    "mixup": _of("data", mixup_alpha=0.2),
    "no_squeeze": _of("network", squeeze=0),
    "strided": _of("network", shortcut="strided"),
    "erase": _of("data", erase_probability=0.25),
    "no_leaf": _of("loss", leaf_weight=0.0),
    "paper": _PAPER,
    "as_published": _of(
        "loss", kind="paper", reduction="mean", leaf_weight=0.0
    ),
    "positives1": (*_PAPER, *_of("loss", positive_weight=1.0)),
    "positives4": (*_PAPER, *_of("loss", positive_weight=4.0)),
    "floor1": (*_PAPER, *_of("loss", floor=1.0)),
    "focal": _of("loss", kind="focal"),
    "leaf4": _of("loss", leaf_weight=4.0),
    "bfloat16": _of("network", precision="mixed_bfloat16"),
    "size40": _of("data", image_size=40),
    "size56": _of("data", image_size=56),
    "size64": _of("data", image_size=64),
}
FIGURES = {
    "f1_at_5": "F1@5",
    "f1_at_10": "F1@10",
    "best_leaf_right": "leaf",
    "macro_average_precision": "macro AP",
}
_KEYS = ("recipe", "pflop_wanted", "seed")
_COLUMNS = (*_KEYS, "images", "pflop", "minutes", *FIGURES)


def main() -> None:
    """Trains what is missing, then shows all."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    table = options.out / "recipes.csv"
    for seed in map(int, options.seeds.split(",")):
        for recipe in options.recipes:
            key = (recipe, str(options.pflop), str(seed))
            if key not in {tuple(r[k] for k in _KEYS) for r in _rows(table)}:
                row = _trained(options.dataset, options.out, *key)
                _append(table, row)
                print(*(f"{k} {v}" for k, v in row.items()), flush=True)
    _show(_rows(table))
    _draw(_rows(table), options.out / "recipes.png")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("pflop", type=float)
    parser.add_argument("seeds")
    parser.add_argument("recipes", nargs="+")
    options = parser.parse_args()
    for recipe in options.recipes:
        for name in recipe.split("+"):
            if name not in INGREDIENTS:
                parser.error(f"{name} is none of {', '.join(INGREDIENTS)}")
    return options


def changes(recipe: str, images: int, pflop: float) -> list[str]:
    """Returns what `--set` takes, with the epochs that the budget allows.

    Args:
        images: of the training split.
        pflop: 1e15 operations of forward and backward passes, as TensorFlow's
            profiler counts them.
    """
    names = recipe.split("+")
    found = [change for name in names for change in INGREDIENTS[name]]
    epochs = round(pflop * 1e15 / (flops(recipe) * images))
    return [*found, f"schedule.epochs={max(epochs, 1)}"]


def flops(recipe: str) -> int:
    """Returns the operations of an image in a training step."""
    found = image_cost(make_model(_config(recipe), 10)).flops
    assert found is not None
    return found


def _config(recipe: str) -> Config:
    changed = [c for name in recipe.split("+") for c in INGREDIENTS[name]]
    return override(tiny_imagenet.get_config(), changed)


def _trained(dataset, out, recipe, pflop, seed) -> dict[str, object]:
    workdir = out / f"{recipe}-{pflop}-{seed}"
    manifest = json.loads((dataset / "manifest.json").read_text())
    images = manifest["splits"]["train"]["images"]
    changed = changes(recipe, images, float(pflop))
    sets = [word for change in changed for word in ("--set", change)]
    _tagforest(
        *("train", dataset, "--workdir", workdir, "--config", "tiny_imagenet"),
        *("--set", f"seed={seed}", *sets),
    )
    _tagforest("evaluate", workdir, dataset)
    result = json.loads((workdir / "result.json").read_text())
    (report,) = workdir.rglob("validation.json")
    figures = json.loads(report.read_text())["figures"]
    batch = _config(recipe).schedule.batch_size
    seen = result["steps"] * batch
    return {
        "recipe": recipe,
        "pflop_wanted": pflop,
        "seed": seed,
        "images": seen,
        "pflop": round(seen * flops(recipe) / 1e15, 4),
        "minutes": round(result["seconds"] / 60, 1),
        **{name: round(figures[name]["model"], 4) for name in FIGURES},
    }


def _tagforest(*words: object) -> None:
    command = Path(sys.executable).with_name("tagforest")
    subprocess.run([command, *map(str, words)], check=True)


def _append(table: Path, row: Mapping[str, object]) -> None:
    new = not table.is_file()
    with table.open("a", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow(row)


def _rows(table: Path) -> list[dict[str, str]]:
    if not table.is_file():
        return []
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def _groups(rows: Sequence[Mapping[str, str]]) -> Iterator[dict]:
    """Yields means over the seeds, and their spread."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["recipe"], row["pflop_wanted"]].append(row)
    for (recipe, _), of_it in groups.items():
        columns = {
            name: [float(row[name]) for row in of_it]
            for name in ("pflop", "minutes", *FIGURES)
        }
        yield {"recipe": recipe, "seeds": len(of_it), **columns}


def _show(rows: Sequence[Mapping[str, str]]) -> None:
    names = ("pflop", "minutes", *FIGURES)
    titles = [FIGURES.get(name, name) for name in names]
    print("| recipe | seeds |", " | ".join(titles), "|")
    print("|---" * (len(names) + 2) + "|")
    for group in sorted(_groups(rows), key=lambda g: mean(g["pflop"])):
        cells = [_cell(group[name]) for name in names]
        print(f"| {group['recipe']} | {group['seeds']} |", *cells, sep=" ")


def _cell(values: Sequence[float]) -> str:
    spread = f" ± {(max(values) - min(values)) / 2:.3f}"
    return f"{mean(values):.3f}{spread if len(values) > 1 else ''} |"


def _draw(rows: Sequence[Mapping[str, str]], path: Path) -> None:
    """Draws each figure over operations and over minutes."""
    figure, axes = plt.subplots(2, len(FIGURES), figsize=(16, 8))
    curves = defaultdict(list)
    for group in _groups(rows):
        curves[group["recipe"]].append(group)
    for line, over in enumerate(("pflop", "minutes")):
        for axis, (name, title) in zip(
            axes[line], FIGURES.items(), strict=True
        ):
            axis.set_prop_cycle(color=matplotlib.color_sequences["tab20"])
            for recipe, groups in curves.items():
                points = sorted((mean(g[over]), mean(g[name])) for g in groups)
                axis.plot(*zip(*points, strict=True), "o-", label=recipe)
            axis.set(xlabel=over, ylabel=title)
    lines = axes[0][0].get_legend_handles_labels()
    figure.legend(*lines, loc="lower center", ncols=3, fontsize=8)
    figure.tight_layout(rect=(0, 0.1, 1, 1))
    figure.savefig(path, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    main()
