"""The command `tagforest cooccurrence`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from beam_jobs.cli_options import takes_options
from beam_jobs.cooccurrence.options import CooccurrenceOptions

if TYPE_CHECKING:
    from beam_jobs.classes.vocabulary import Vocabulary
    from beam_jobs.cooccurrence.pipeline import Summary
    from beam_jobs.labels.pairs import Pairs

_SHOWN = 20


@takes_options
def cooccurrence(context: typer.Context, options: CooccurrenceOptions) -> None:
    """Find classes that come with others, from a model's predictions.

    Options not listed here go to Beam: --direct_num_workers 2 and so on.
    """
    from beam_jobs.files.checks import check_output_file

    check_output_file(options.out)
    from beam_jobs.cooccurrence.pipeline import find_cooccurrence

    summary, pairs, classes = find_cooccurrence(options, context.args)
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
