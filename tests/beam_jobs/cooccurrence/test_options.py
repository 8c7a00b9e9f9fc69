import pytest

from beam_jobs.cooccurrence.options import CooccurrenceOptions, ModelOptions
from beam_jobs.errors import InputError


@pytest.mark.parametrize(
    "options, message",
    [
        ({"dataset": "d"}, "received: neither"),
        ({"scores": ("s",), "model": ModelOptions("m")}, "received: both"),
        ({"model": ModelOptions("m"), "vocabulary": "v"}, "needs images"),
        ({"scores": ("s",)}, "--vocabulary FILE; received: neither"),
        ({"posterior": 1.0}, "posterior must be at least 0 and under 1"),
        ({"min_co": -0.1}, "min_co must be at least 0 and under 1"),
        (
            {"reading": "both"},
            "one of unrelated, not_ancestor",
        ),
        ({"min_images": 0}, "at least 1"),
    ],
)
def test_options_that_do_not_fit(tmp_path, options, message):
    if not {"scores", "model", "dataset"} & set(options):
        options = {"scores": ("s.csv",), "vocabulary": "v.tsv"} | options
    with pytest.raises(InputError, match=message):
        CooccurrenceOptions(out=str(tmp_path / "pairs.tsv"), **options)


def test_out_is_a_file(tmp_path):
    with pytest.raises(InputError, match="is a folder; name a file"):
        CooccurrenceOptions(str(tmp_path), scores=("s",), vocabulary="v")


def test_batches_hold_an_image():
    with pytest.raises(InputError, match="batch_size must be at least 1"):
        ModelOptions("m", batch_size=0)
