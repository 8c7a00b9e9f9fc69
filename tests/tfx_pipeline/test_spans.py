import pytest

from beam_jobs.errors import InputError
from beam_jobs.sources.find_sources import SourcePaths
from tfx_pipeline.spans import expand


@pytest.fixture
def arrived(tmp_path):
    for name in ("span-1/v1", "span-2/v1", "span-2/v10", "span-2/v9", "span-x"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def test_all_spans_and_of_each_its_newest_version(arrived):
    given = f"{arrived}/span-{{SPAN}}/v{{VERSION}}"
    sources, spans = expand(SourcePaths(folders=(given, "plain")))
    assert sources.folders == (
        f"{arrived}/span-1/v1",
        f"{arrived}/span-2/v10",
        "plain",
    )
    assert spans == (1, 2)


def test_a_span_that_is_named_twice_in_a_path(arrived):
    for span in (1, 2):
        (arrived / f"span-{span}/list-{span}.csv").touch()
    (arrived / "span-2/list-1.csv").touch()
    given = f"{arrived}/span-{{SPAN}}/list-{{SPAN}}.csv"
    sources, spans = expand(SourcePaths(csv=(given,)))
    assert [path[-10:] for path in sources.csv] == ["list-1.csv", "list-2.csv"]
    assert spans == (1, 2)


def test_names_with_signs_of_patterns(tmp_path):
    (tmp_path / "a[1]" / "span-7").mkdir(parents=True)
    given = f"{tmp_path}/a[1]/span-{{SPAN}}"
    assert expand(SourcePaths(folders=(given,)))[1] == (7,)


def test_plain_sources_have_no_spans():
    sources = SourcePaths(folders=("a",), open_images=("b",))
    assert expand(sources) == (sources, ())


def test_no_span_is_there(tmp_path):
    given = f"{tmp_path}/span-{{SPAN}}"
    with pytest.raises(InputError, match="--folders: no span is there"):
        expand(SourcePaths(folders=(given,)))


def test_a_version_without_a_span(tmp_path):
    with pytest.raises(InputError, match="needs {SPAN}"):
        expand(SourcePaths(folders=(f"{tmp_path}/v{{VERSION}}",)))


def test_an_option_of_one_path():
    with pytest.raises(InputError, match="--images takes one path"):
        expand(SourcePaths(images="span-{SPAN}/images"))
