"""The command `tagforest cooccurrence`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from beam_jobs.classes.vocabulary import Vocabulary
    from beam_jobs.cooccurrence.options import CooccurrenceOptions
    from beam_jobs.cooccurrence.pipeline import Summary
    from beam_jobs.labels.pairs import Pairs


# Options not listed go to Beam.

_SHOWN = 20


OutFile = Annotated[Path, typer.Option(help="File of the pairs, as pairs.tsv.")]
ScoreFiles = Annotated[
    list[Path] | None,
    typer.Option(
        help="Predictions: JSON lines {image_id, scores: {wnid: score}}, or "
        "CSV or TSV with the columns image_id, wnid, score."
    ),
]
SavedModel = Annotated[
    Path | None,
    typer.Option(help="SavedModel to run over the records instead."),
]
Dataset = Annotated[
    Path | None,
    typer.Option(help="Data set: its classes, labels and images."),
]
Split = Annotated[str, typer.Option(help="Its records to count.")]
VocabularyFile = Annotated[
    Path | None,
    typer.Option(
        help="Without a data set: vocabulary.tsv or the published dictionary."
    ),
]
PredictionsOnly = Annotated[
    bool,
    typer.Option(
        "--predictions-only",
        help="Leave the labels of the data set out of the counts.",
    ),
]
Posterior = Annotated[
    float, typer.Option(help="A class is positive with a higher score.")
]
MinCo = Annotated[
    float, typer.Option(help="CO(i, j) = n_ij / n_i must be higher.")
]
ReadingOfRule = Annotated[
    str,
    typer.Option(
        help="unrelated: no is-a path between i and j. not_ancestor: j is no "
        "ancestor of i, so a class may add its own subclasses."
    ),
]
MinImages = Annotated[int, typer.Option(help="Least images with class i.")]
Signature = Annotated[str, typer.Option(help="Signature of the model.")]
ScoresOutput = Annotated[str, typer.Option(help="Its output with the scores.")]
WnidsOutput = Annotated[
    str,
    typer.Option(
        help="Its output with the WordNet id of each score; if there is none, "
        "scores are of all classes."
    ),
]
ModelVocabulary = Annotated[
    Path | None,
    typer.Option(
        help="vocabulary.tsv of the model, if it knows other classes than "
        "the data set."
    ),
]
FeedRecords = Annotated[
    bool,
    typer.Option(
        "--feed-records",
        help="Feed tf.Example records to the signature, not image bytes.",
    ),
]
BatchSize = Annotated[int, typer.Option(help="Images a call.")]


def cooccurrence(
    context: typer.Context,
    out: OutFile,
    scores: ScoreFiles = None,
    model: SavedModel = None,
    dataset: Dataset = None,
    split: Split = "train",
    vocabulary: VocabularyFile = None,
    predictions_only: PredictionsOnly = False,
    posterior: Posterior = 0.95,
    min_co: MinCo = 0.5,
    reading: ReadingOfRule = "unrelated",
    min_images: MinImages = 1,
    signature: Signature = "scores",
    scores_output: ScoresOutput = "scores",
    wnids_output: WnidsOutput = "wnids",
    model_vocabulary: ModelVocabulary = None,
    feed_records: FeedRecords = False,
    batch_size: BatchSize = 32,
) -> None:
    """Find classes that come with others, from a model's predictions.

    Options not listed here go to Beam: --direct_num_workers 2 and so on.
    """
    from beam_jobs.cooccurrence import options as cooccurrence_options

    called = cooccurrence_options.ModelOptions(
        path=str(model or ""),
        signature=signature,
        scores=scores_output,
        wnids=wnids_output,
        vocabulary=str(model_vocabulary) if model_vocabulary else None,
        examples=feed_records,
        batch_size=batch_size,
    )
    options = cooccurrence_options.CooccurrenceOptions(
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
    _run(options, context.args)


def _run(options: CooccurrenceOptions, beam_args: Sequence[str]) -> None:
    from beam_jobs.cooccurrence.pipeline import find_cooccurrence

    summary, pairs, classes = find_cooccurrence(options, beam_args)
    _print_pairs(pairs, classes)
    typer.echo(describe(summary, options.out))
    if len(pairs):
        typer.echo(
            f"next: tagforest relabel {options.dataset or 'DATASET'} "
            f"--cooccurrence {options.out} --out NEW"
        )


def describe(summary: Summary, out: str) -> str:
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
        from beam_jobs.cooccurrence.pipeline import rejected_path

        reasons = ", ".join(f"{n:,} x {r}" for r, n in summary.rejected.items())
        lines.insert(1, f"  {reasons}: {rejected_path(out)}")
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
