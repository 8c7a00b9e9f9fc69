from pathlib import Path

from tfx_pipeline.places import local_path


def test_an_address_is_where_it_is_mounted():
    assert local_path("gs://bucket/a/b") == Path("/gcs/bucket/a/b")
    assert local_path("/a/b") == Path("/a/b")
