import pytest

from beam_jobs.errors import InputError
from beam_jobs.images.image_names import download_name
from beam_jobs.sources.find_sources import SourcePaths, check_sources
from tests.helpers.commands import loaded_by


def test_local_paths_must_exist(tmp_path):
    (tmp_path / "a.csv").write_text("x")
    check_sources(
        SourcePaths(csv=(f"{tmp_path}/a.csv",), images=(str(tmp_path),))
    )
    for kind, what in (
        ("imagenet", "ImageNet source: no such folder"),
        ("open_images", "Open Images source: no such folder"),
        ("voc", "Pascal VOC source: no such folder"),
        ("coco", "COCO source: no such file"),
        ("csv", "CSV source: no such file"),
        ("tencent_records", "Tencent records: no such file"),
    ):
        with pytest.raises(InputError, match=f"{what}: /none"):
            check_sources(SourcePaths(**{kind: ["/none"]}))
    with pytest.raises(InputError, match="images: no such folder: /none"):
        check_sources(
            SourcePaths(csv=(f"{tmp_path}/a.csv",), images=("/none",))
        )


def test_patterns_and_remote_paths_show_when_listed():
    check_sources(
        SourcePaths(tencent_records=("/none/*.tfrecords", "gs://a/b"))
    )
    check_sources(SourcePaths(imagenet=("gs://a/b",), dictionary=None))


def test_nothing_to_read():
    with pytest.raises(InputError, match="--imagenet FOLDER, .*--csv FILE"):
        check_sources(SourcePaths(images=("/x",)))


def test_checks_load_no_framework():
    code = "import beam_jobs.files.checks"
    assert loaded_by(code, "apache_beam", "numpy") == []


def test_downloads_are_named_by_the_whole_url():
    # printf %s https://example.org/a.jpg | sha256sum
    digest = "700caca5ae8f856fc70b39312664d5c97f25108545c8f774199da1edfcc4ac60"
    assert download_name("https://example.org/a.jpg") == f"70/{digest}"
