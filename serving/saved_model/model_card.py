"""A page about an exported model: what it knows, how good it was found.

The headings are those of "Model Cards for Model Reporting"
(https://arxiv.org/abs/1810.03993) as far as the training's files can fill
them; what nobody measured is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model import extension_notes, workdir
from model.checkpoint_files import Best
from model.scores import tagging
from serving.api import contract
from serving.saved_model.decoding import ImageLimits
from serving.saved_model.exportable import (
    Exportable,
    ExportableDetector,
    ExportableTagger,
)

MODEL_CARD = "model_card.md"
_OWN_SCORES = (
    "each class's own probability; no class is less probable than one below it"
)
_ONE_CLASS = "of one class an image: a softmax, which adds up to 1"
_FIGURES = {
    "f1_at_5": "F1 at 5",
    "f1_at_10": "F1 at 10",
    "best_leaf_right": "best leaf right",
    "macro_average_precision": "macro average precision",
}


def model_card(
    model: Exportable,
    top_k: int,
    limits: ImageLimits,
    facts: Mapping[str, Any] | None = None,
) -> str:
    """Returns the page, Markdown.

    Args:
        top_k: tags an image, at most; of taggers alone.
        facts: of the training, see `training_facts`.
    """
    facts = facts or {}
    sections = {
        "Model": _model(model, facts),
        "Input and output": _answers(model, top_k, limits),
        "Training data": _lines(facts.get("dataset"), "unknown"),
        "Figures": _classified(facts["classification"])
        if facts.get("classification")
        else _figures(facts.get("figures"), facts.get("images", 0)),
    }
    if isinstance(model, ExportableTagger):
        sections["Calibration"] = (
            "None: it is a softmax."
            if model.one_class
            else _calibration(model.tagging)
        )
    parts = [f"## {title}\n\n{text}\n" for title, text in sections.items()]
    return "# tagforest model\n\n" + "\n".join(parts)


def training_facts(folder: Path) -> dict[str, Any]:
    """Reads what a training and its evaluation left in their folder."""
    config = workdir.read_json(folder / workdir.CONFIG, {})
    report = workdir.read_json(folder / "evaluation" / "validation.json", {})
    drawn = workdir.read_json(
        folder / workdir.DETECTION, {}
    ) or workdir.read_json(folder / workdir.SEGMENTATION, {})
    return {
        "config": config.get("name", ""),
        "result": workdir.read_json(folder / workdir.RESULT, {}),
        "extensions": extension_notes.load(folder),
        "start": workdir.read_json(folder / workdir.START, {}),
        "dataset": workdir.read_json(folder / workdir.DATASET, {}),
        "figures": report.get("figures", {}) or drawn,
        "images": report.get("images", 0) or drawn.get("images", 0),
        "classification": workdir.read_json(
            folder / workdir.CLASSIFICATION, {}
        ),
    }


def _model(model: Exportable, facts: Mapping[str, Any]) -> str:
    classes, tree = model.vocabulary, model.hierarchy
    result = facts.get("result") or {}
    return _lines(
        {
            "task": _task(model),
            "config": facts.get("config"),
            "epochs": result.get("epochs"),
            "best": _best(result.get("best")),
            "started from": _start(facts.get("start")),
            "extensions": "; ".join(map(str, facts.get("extensions", ()))),
            "weights": model.weights_version,
            "classes": f"{len(classes)}, {int(tree.is_leaf.sum())} of them "
            "without classes below",
            "vocabulary": classes.fingerprint,
            "hierarchy": tree.fingerprint,
        }
    )


def _start(start: Mapping[str, Any] | None) -> str:
    if not start:
        return ""
    return (
        f"the {start['kind']} {start['source']} (weights "
        f"{start['sha256'][:16]}...), {len(start['classes'])} of its "
        f"{start['theirs']} classes"
    )


def _best(best: Mapping[str, Any] | None) -> str:
    if not best:
        return ""
    return f"the weights are those of {Best(**best)} on validation"


def _task(model: Exportable) -> str:
    if isinstance(model, ExportableTagger):
        return "tags: which classes an image shows"
    if isinstance(model, ExportableDetector):
        return "detection: where objects are, a box and a class each"
    return "segmentation: the class of each pixel"


def _answers(model: Exportable, top_k: int, limits: ImageLimits) -> str:
    is_tagger = isinstance(model, ExportableTagger)
    framed = "the central square" if is_tagger else "the whole image"
    side = model.image_size
    return _lines(
        {
            "images": "JPEG, PNG, GIF (first frame), BMP and, where "
            "the runtime reads it, WebP files, at most "
            f"{limits.max_bytes} bytes and {limits.max_pixels} pixels; "
            f"{framed}, resized to {side} x {side}",
            "answer": f"{_answer(model, top_k)}; `{contract.VALID}` "
            "is false for an image that cannot be decoded",
            "scores": _scores(model),
        }
    )


def _answer(model: Exportable, top_k: int) -> str:
    if isinstance(model, ExportableTagger):
        return f"at most {top_k} classes an image"
    if isinstance(model, ExportableDetector):
        return (
            f"`{contract.BOXES}`: ymin, xmin, ymax, xmax in pixels of the "
            "image that was sent, best first, filled up with empty names"
        )
    return (
        f"`{contract.MASK}`: a PNG of class numbers in the image's own size, "
        f"whose names are `{contract.NAMES}`, and `{contract.SHARES}`, the "
        "parts of the pixels"
    )


def _scores(model: Exportable) -> str:
    if isinstance(model, ExportableTagger):
        return _ONE_CLASS if model.one_class else _OWN_SCORES
    if isinstance(model, ExportableDetector):
        return "the network's own, 0 to 1; not calibrated"
    return ""


def _figures(figures: Mapping[str, Any] | None, images: int) -> str:
    if not figures:
        return "Not measured: run `tagforest evaluate`, then export again."
    # Tags have a baseline beside them; the others' are numbers alone.
    plain = {k: v for k, v in figures.items() if isinstance(v, float)}
    shown = _table(figures) if not plain else _numbers(plain)
    return f"On {images} held-out images.\n\n{shown}"


def _numbers(figures: Mapping[str, float]) -> str:
    return _lines({k: f"{v:.4f}" for k, v in figures.items()})


def _table(figures: Mapping[str, Any]) -> str:
    rows = [
        "| figure | model | most frequent tags | best possible |",
        "|---|---|---|---|",
    ]
    for key, name in _FIGURES.items():
        if key in figures:
            found = figures[key]
            values = (found[k] for k in ("model", "baseline", "ceiling"))
            cells = " | ".join(f"{value:.3f}" for value in values)
            rows.append(f"| {name} | {cells} |")
    return "\n".join(rows)


def _classified(found: Mapping[str, Any]) -> str:
    """Returns what `tagforest transfer classify` found."""
    return _lines(
        {
            "held-out images": found["images"],
            "crops of each": found["crops"],
            "top-1": f"{found['top_1']:.4f}",
            "top-5": f"{found['top_5']:.4f}",
            "top-1, mean over the classes": f"{found['mean_per_class']:.4f}",
        }
    )


def _calibration(fitted: tagging.Tagging | None) -> str:
    if fitted is None:
        return (
            "None: scores are the network's own sigmoids, every threshold is "
            "0.5. `tagforest calibrate` fits both."
        )
    keys = ("images", "split", "precision", "classes_never_tagged")
    known = {k: fitted.summary[k] for k in keys if k in fitted.summary}
    known |= _another_data_set(fitted.summary.get("data_set") or {})
    return _lines(known, "Scores and thresholds are fitted.")


def _another_data_set(judge: Mapping[str, Any]) -> dict[str, str]:
    """Says if it was not the training's; see `model.scores.trained_on`."""
    if not judge or judge["is_trained_on"]:
        return {}
    name, left_out = judge["name"], judge["training_images_left_out"]
    own = "of which it is not known whether it is the training's"
    if judge["is_trained_on"] is False:
        own = "not the one that was trained on"
    seen = "images that were trained on may be among them"
    if left_out is not None:
        seen = f"{left_out} images that were trained on were left out"
    return {"data set": f"{name}, {own}; {seen}"}


def _lines(values: Mapping[str, Any] | None, otherwise: str = "") -> str:
    shown = {k: v for k, v in (values or {}).items() if v not in (None, "")}
    lines = [f"- {name}: {value}" for name, value in shown.items()]
    return "\n".join(lines) or otherwise
