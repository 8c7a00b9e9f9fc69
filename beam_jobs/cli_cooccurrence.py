"""The command `tagforest cooccurrence`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from beam_jobs.cooccurrence import Pairs
    from beam_jobs.cooccurrence_pipeline import Summary
    from beam_jobs.vocabulary import Vocabulary

# Options not listed go to Beam.
CONTEXT_SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}

_SHOWN = 20


def cooccurrence(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="File of the pairs, as pairs.tsv.")],
    scores: Annotated[
        list[Path] | None,
        typer.Option(
            help="Predictions: JSON lines {image_id, scores: {wnid: score}}, "
            "or CSV or TSV with the columns image_id, wnid, score."
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="SavedModel to run over the records instead."),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(help="Data set: its classes, labels and images."),
    ] = None,
    split: Annotated[str, typer.Option(help="Its records to count.")] = "train",
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            help="Without a data set: vocabulary.tsv or the published "
            "dictionary."
        ),
    ] = None,
    predictions_only: Annotated[
        bool,
        typer.Option(
            "--predictions-only",
            help="Leave the labels of the data set out of the counts.",
        ),
    ] = False,
    posterior: Annotated[
        float, typer.Option(help="A class is positive with a higher score.")
    ] = 0.95,
    min_co: Annotated[
        float, typer.Option(help="CO(i, j) = n_ij / n_i must be higher.")
    ] = 0.5,
    reading: Annotated[
        str,
        typer.Option(
            help="unrelated: no is-a path between i and j. not_ancestor: j is "
            "no ancestor of i, so a class may add its own subclasses."
        ),
    ] = "unrelated",
    min_images: Annotated[
        int, typer.Option(help="Least images with class i.")
    ] = 1,
    signature: Annotated[
        str, typer.Option(help="Signature of the model.")
    ] = "scores",
    scores_output: Annotated[
        str, typer.Option(help="Its output with the scores.")
    ] = "scores",
    wnids_output: Annotated[
        str,
        typer.Option(
            help="Its output with the WordNet id of each score; if there is "
            "none, scores are of all classes."
        ),
    ] = "wnids",
    model_vocabulary: Annotated[
        Path | None,
        typer.Option(
            help="vocabulary.tsv of the model, if it knows other classes "
            "than the data set."
        ),
    ] = None,
    feed_records: Annotated[
        bool,
        typer.Option(
            "--feed-records",
            help="Feed tf.Example records to the signature, not image bytes.",
        ),
    ] = False,
    batch_size: Annotated[int, typer.Option(help="Images a call.")] = 32,
) -> None:
    """Find classes that come with others, from a model's predictions.

    Options not listed here go to Beam: --direct_num_workers 2 and so on.
    """
    from beam_jobs.cooccurrence_options import (
        CooccurrenceOptions,
        ModelOptions,
    )

    called = ModelOptions(
        path=str(model or ""),
        signature=signature,
        scores=scores_output,
        wnids=wnids_output,
        vocabulary=str(model_vocabulary) if model_vocabulary else None,
        examples=feed_records,
        batch_size=batch_size,
    )
    options = CooccurrenceOptions(
        out=str(out),
        scores=tuple(str(path) for path in scores or ()),
        model=called if model else None,
        dataset=str(dataset) if dataset else None,
        split=split,
        vocabulary=str(vocabulary) if vocabulary else None,
        predictions_only=predictions_only,
        posterior=posterior,
        min_co=min_co,
        reading=reading,  # type: ignore[arg-type]
        min_images=min_images,
    )
    from beam_jobs.cooccurrence_pipeline import find_cooccurrence

    summary, pairs, classes = find_cooccurrence(options, context.args)
    _print_pairs(pairs, classes)
    typer.echo(describe(summary, out))
    if len(pairs):
        named = dataset or "DATASET"
        typer.echo(
            f"next: tagforest relabel {named} --cooccurrence {out} --out NEW"
        )


def describe(summary: Summary, out: Path) -> str:
    """Returns a few lines on what was counted, for the terminal."""
    rejected = sum(summary.rejected.values())
    lines = [
        f"{summary.rows_in:,} predictions in = "
        f"{summary.rows_in - rejected:,} out + {rejected:,} rejected",
        f"{summary.images:,} images: {summary.with_predictions:,} with "
        f"predictions, {summary.with_labels:,} with labels of the data set",
        f"{summary.pairs:,} pairs in {out}",
    ]
    if rejected:
        from beam_jobs.cooccurrence_pipeline import rejected_path

        reasons = ", ".join(f"{n:,} x {r}" for r, n in summary.rejected.items())
        lines.insert(1, f"  {reasons}: {rejected_path(str(out))}")
    if summary.unknown_scores:
        lines.append(
            f"{summary.unknown_scores:,} scores are of classes that the "
            "vocabulary lacks and were left out"
        )
    both = summary.with_labels + summary.with_predictions - summary.images
    if summary.with_labels and not both:
        lines.append(
            "no image has both labels and predictions; are the image ids of "
            "the predictions those of the data set's records?"
        )
    return "\n".join(lines)


def _print_pairs(pairs: Pairs, classes: Vocabulary) -> None:
    """Prints the pairs that most images have."""
    if not len(pairs):
        return
    import numpy as np
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"pairs with most images, of {len(pairs):,}")
    for head in ("class i", "adds j"):
        table.add_column(head)
    for head in ("CO", "n_i", "n_ij"):
        table.add_column(head, justify="right")
    order = np.lexsort((-pairs.co, -pairs.n_ij))[:_SHOWN]
    for k in order.tolist():
        table.add_row(
            # Text, for a name may hold what rich takes for markup.
            Text(classes[int(pairs.source_class[k])].display_name),
            Text(classes[int(pairs.added_class[k])].display_name),
            f"{pairs.co[k]:.2f}",
            f"{pairs.n_i[k]:,}",
            f"{pairs.n_ij[k]:,}",
        )
    Console().print(table)
