"""Options and sums of bulk tagging; the job that Dataflow gets."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from beam_jobs.errors import InputError
from beam_jobs.rejections import UnbalancedError
from beam_jobs.sources.reader import Part
from serving.bulk import manifest as manifests
from serving.bulk import pipeline
from serving.bulk.bulk_tag import tag_in_bulk
from serving.bulk.options import BulkOptions
from serving.bulk.tag_shard import Job, Outcome


def test_sums_are_checked():
    facts = manifests.Facts("", {}, {}, 0, parts=1, images=3)
    good = Outcome("00000-00000", 3, rows=2, rejected={"empty_file": 1})
    assert manifests.make_manifest(facts, [good]).images["out"] == 2
    for wrong in (
        [replace(good, rows=3)],
        [good, good],
        [replace(good, images_in=2, rows=1)],
        [good, replace(good, name="00001-00000")],
    ):
        with pytest.raises(UnbalancedError):
            manifests.make_manifest(facts, wrong)


def test_dataflow_job(model_base, tmp_path):
    """The job that Dataflow would get, written to a file instead."""
    args = [
        "--runner=DataflowRunner",
        "--project=some-project",
        "--region=europe-west1",
        "--temp_location=gs://bucket/tmp",
        "--sdk_container_image=europe-docker.pkg.dev/p/images/tagforest",
        f"--template_location={tmp_path / 'job.json'}",
        # So that nothing is asked over the network.
        f"--staging_location={tmp_path}",
        "--dataflow_endpoint=http://localhost:1",
        "--no_auth",
    ]
    options = BulkOptions("gs://b/m/1", ["gs://b/in"], "gs://b/out")
    part = Part("images", "gs://b/in/a.jpg", files=(("gs://b/in/a.jpg", 9),))
    job = Job(options, "gs://b/m/1", "gs://b/out/.work")
    facts = manifests.Facts("", {}, {}, 0, 1, 1)
    pipeline.run([part], job, facts, args)
    assert json.loads((tmp_path / "job.json").read_text())["type"] == (
        "JOB_TYPE_BATCH"
    )
    with pytest.raises(InputError, match="Dataflow's workers cannot see"):
        tag_in_bulk(replace(options, model=str(model_base)), args)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sources": []}, "nothing to tag"),
        ({"format": "csv"}, "one of parquet, jsonl; received: .csv"),
        ({"top": 0}, "top must be at least 1"),
        ({"batch_size": 33}, "--batch-size takes one of 1, 2, 4"),
        ({"images_per_file": 0}, "images_per_file must be at least 1"),
    ],
)
def test_wrong_options(changes, said):
    with pytest.raises(InputError, match=said):
        replace(BulkOptions("m", ["s"], "o"), **changes)
