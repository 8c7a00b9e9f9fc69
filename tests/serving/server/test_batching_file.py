import pytest

from beam_jobs.errors import InputError
from serving.api.server_options import BatchingOptions
from serving.server.batching_file import read_batching


def test_a_file_of_tensorflow_serving(tmp_path):
    path = tmp_path / "batching.config"
    path.write_text(
        "max_batch_size { value: 8 }\n"
        "batch_timeout_micros { value: 1500 }\n"
        "max_enqueued_batches { value: 3 }\n"
        "num_batch_threads { value: 2 }\n"
        "allowed_batch_sizes: 4\nallowed_batch_sizes: 8\n"
    )
    assert read_batching(path) == BatchingOptions(
        max_batch_size=8,
        timeout_s=0.0015,
        max_queued_rows=24,
        allowed_sizes=(4, 8),
        parallel_batches=2,
    )


def test_its_defaults(tmp_path):
    path = tmp_path / "batching.config"
    path.write_text("num_batch_threads { value: 1 }")
    assert read_batching(path) == BatchingOptions(1000, max_queued_rows=10_000)


def test_what_it_would_refuse(tmp_path):
    path = tmp_path / "batching.config"
    path.write_text("max_batch_size { value: 8 } allowed_batch_sizes: 4")
    with pytest.raises(InputError, match="the last of allowed_batch_sizes"):
        read_batching(path)
