import pytest

from beam_jobs.errors import InputError
from beam_jobs.forget.names import Names, read_names, say, url_of
from beam_jobs.images.image_names import download_name

URL = "https://example.org/a.jpg"


def names(*texts):
    made = Names()
    made.add(*texts)
    return made


def test_reads_ids_and_urls_once(tmp_path):
    path = tmp_path / "images.txt"
    path.write_text(f"csv/a b.jpg\r\n\n {URL}\ncsv/a b.jpg\nimagenet/n01_1\n")
    assert read_names(str(path)) == ["csv/a b.jpg", URL, "imagenet/n01_1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("csv/a.jpg\ndog\n", ":2: an image id as csv/a.jpg or a URL.*: dog"),
        ("csv\n", ":1: an image id"),
        ("\n\n", "no image is named"),
        ("/data/a.jpg\n", ":1: an image id"),
    ],
)
def test_what_names_no_image_is_refused(tmp_path, text, message):
    path = tmp_path / "images.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_names(str(path))


def test_records_match_by_id_and_by_url():
    known = names("csv/a.jpg", URL)
    assert known.match("csv/a.jpg")
    assert known.match(f"tencent/{URL}")
    assert known.match("open_images/0", URL)
    assert not known.match("csv/a.jpg.jpg", f"{URL}?x")
    assert names(f"tencent/{URL}").urls == {URL}
    assert url_of(URL) == ()


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ('{"item": "csv/é.jpg"}', True),
        ('{"item": "csv/\\u00e9.jpg"}', True),
        ("see csv/é.jpg.", True),
        ("csv/é.jpg", True),
        ("x/csv/é.jpg", False),
        ("csv/é.jpg/1", False),
        ("csv/é.jpgg", False),
        ("csv/é.jpg.png", False),
        ("csv/é", False),
        ("csv/é.jpg.png csv/é.jpg", True),
    ],
)
def test_a_name_is_found_whole(data, found):
    assert (names("csv/é.jpg").find_in(data.encode()) is not None) == found


def test_a_url_is_found_within_an_id():
    known = names(URL)
    assert known.find_in(f'"tencent/{URL}"'.encode()) == URL
    assert known.find_in(f'"{URL}.png"'.encode()) is None


def test_paths_of_image_folders_match():
    known = names("csv/x/a.jpg", "imagenet/n01_1", "open_images/0a", URL)
    paths = ["x/a.jpg", "y/a.jpg", "n01/n01_1.JPEG", "n01_11.JPEG"]
    paths += ["train/0a.jpg", download_name(URL), "x/a.jpg.jpg", "a.jpg"]
    assert known.match_paths(paths) == [
        *(True, False, True, False),
        *(True, True, True, False),
    ]


def test_says_some_and_how_many_more():
    assert say("ba") == "a, b"
    assert say("abcdefg") == "a, b, c, d, e and 2 more"
