"""A shard's batches on their way through the model."""

from __future__ import annotations

import threading

from pyarrow import parquet

from beam_jobs.images.image_ref import ImageRef
from serving.bulk import model_files
from serving.bulk.inputs import Shard
from serving.bulk.model_folders import find_version
from serving.bulk.options import BulkOptions
from serving.bulk.tag_shard import Job, tag_shard
from tests.helpers.images import noise_image
from tests.helpers.waiting import LIMIT_S


def test_the_model_is_called_while_another_call_runs(model_base, tmp_path):
    servable = model_files.load(find_version(str(model_base)))

    class Paired:
        both = threading.Barrier(2)

        def run(self, *arguments):
            self.both.wait(LIMIT_S)
            return servable.run(*arguments)

    places = []
    for seed in range(8):
        data = noise_image(seed)
        path = tmp_path / f"{seed}.jpg"
        path.write_bytes(data)
        places.append((f"{seed}", ImageRef(str(path), 0, len(data))))
    out = tmp_path / "out"
    options = BulkOptions("m", ["p"], str(out), batch_size=1)
    job = Job(options, "m", str(tmp_path / "work"))
    assert tag_shard(Shard("a", tuple(places)), Paired(), job).rows == 8
    rows = parquet.read_table(out / "tags").to_pylist()
    assert [row["image"] for row in rows] == [*"01234567"]
