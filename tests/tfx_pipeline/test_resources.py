import pytest

from beam_jobs.errors import InputError
from tfx_pipeline.resources import Resources, parse_resources


def test_what_is_written():
    texts = ["Trainer=16,64.5,2xNVIDIA_TESLA_T4", "DatasetGen=0.5,4"]
    assert parse_resources(texts) == (
        Resources("Trainer", 16, 64.5, 2, "NVIDIA_TESLA_T4"),
        Resources("DatasetGen", 0.5, 4),
    )


@pytest.mark.parametrize(
    "text", ["Trainer", "Trainer=1", "Trainer=a,b", "Trainer=1,2,0xT4", "=1,2"]
)
def test_what_is_not(text):
    with pytest.raises(InputError, match="COMPONENT=CPUS,GB"):
        parse_resources([text])
