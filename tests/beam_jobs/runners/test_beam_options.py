import pytest

from beam_jobs.errors import InputError
from beam_jobs.runners.beam_options import check_beam_args, check_reachable

DATAFLOW = [
    "--runner=DataflowRunner",
    "--project=some-project",
    "--region=europe-west1",
    "--temp_location=gs://bucket/tmp",
    "--sdk_container_image=europe-docker.pkg.dev/some-project/images/tagforest",
]


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--direct_num_workers", "2", "--direct_running_mode=multi_processing"],
        ["--s3_endpoint_url=http://127.0.0.1:5000"],
        DATAFLOW,
    ],
)
def test_what_beam_knows(args):
    check_beam_args(args)


def test_options_of_dask():
    pytest.importorskip("distributed", reason="Dask is not installed")
    check_beam_args(["--runner", "dask", "--dask_npartitions", "4"])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--min-image=5"], "did you mean --min-images"),
        (["--direct_num_worker=2"], "did you mean --direct_num_workers"),
        (["--direct_num_workers", "two"], "option of Beam is wrong"),
        (["--runner", "Nonesuch"], "--runner Nonesuch: Beam has no such"),
        (DATAFLOW[:-1], "needs --sdk_container_image too"),
        (DATAFLOW[:1], "needs --project, --region, --temp_location, --sdk"),
    ],
)
def test_what_is_wrong(args, message):
    with pytest.raises(InputError, match=message):
        check_beam_args(args, own_options=["--min-images", "--out"])


def test_dataflow_sees_no_local_folder():
    check_reachable(DATAFLOW, ["gs://bucket/raw", None, ""])
    check_reachable([], ["raw", "s3://bucket/raw"][:1])
    with pytest.raises(InputError, match="workers cannot see data/raw"):
        check_reachable(DATAFLOW, ["gs://bucket/raw", "data/raw"])
