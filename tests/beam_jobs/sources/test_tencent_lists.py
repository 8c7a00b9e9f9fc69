import hashlib

import pytest

from beam_jobs.images.image_folders import ImageFolders
from beam_jobs.images.image_names import download_name, is_inside
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources.reader import AnnotatedImage, Part
from beam_jobs.sources.tencent import read_list
from tests.helpers.shared_data import TENCENT, TENCENT_DICTIONARY, needs_tencent

DICTIONARY = (
    "category_index\tcategory_id\tindex_of_parent_category\tcategory name\n"
    "0\tn00000001\t-1\tthing\n1\tn00000002\t0\tdog\n"
)
URL = "https://example.org/a_o.jpg"


@pytest.fixture
def read(tmp_path):
    dictionary = tmp_path / "dictionary.txt"
    dictionary.write_text(DICTIONARY)

    def run(text, *images):
        path = tmp_path / "list.txt"
        path.write_text(text)
        options = [("dictionary", str(dictionary))]
        options += [("images", str(folder)) for folder in images]
        return list(read_list(Part("", str(path), options=tuple(options))))

    return run


def row(name, wnids=(), confidences=(), ref=None):
    image_id = f"tencent/{name}"
    return AnnotatedImage(image_id, Source.TENCENT, wnids, confidences, ref)


def test_tabs_and_spaces(read):
    both = ("n00000002", "n00000001")
    assert read(
        "a b.jpg\t1:0.9\t0:1\nc.jpg 1:1.0 0:.8\r\n\nd.jpg\t1:1 0:1\t\ne.jpg\n"
    ) == [
        row("a b.jpg", both, (0.9, 1.0)),
        row("c.jpg", both, (1.0, 0.8)),
        row("d.jpg", both, (1.0, 1.0)),
        row("e.jpg"),
    ]


def test_files_and_urls_lie_in_the_folder(read):
    digest = hashlib.sha256(URL.encode()).hexdigest()
    name = f"{digest[:2]}/{digest}"
    assert download_name(URL) == name
    assert read(f"x/a.jpg\t1:1\n{URL}\t1:1\n", "/p/") == [
        row("x/a.jpg", ("n00000002",), (1.0,), ImageRef("/p/x/a.jpg")),
        row(URL, ("n00000002",), (1.0,), ImageRef(f"/p/{name}")),
    ]


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("a.jpg\t2:1", "class 2: the dictionary has 2 classes"),
        ("a.jpg\t1:x", "'1:x': class:confidence is needed"),
        ("a.jpg\t1:1.1", "'1:1.1': class:confidence is needed"),
        ("a.jpg\t-1:1", "'-1:1': class:confidence is needed"),
        ("a.jpg\t1:nan", "'1:nan': class:confidence is needed"),
        ("a.jpg\t1", "'1': class:confidence is needed"),
        ("../a.jpg\t1:1", "'../a.jpg': no relative path"),
        ("/a.jpg\t1:1", "'/a.jpg': no relative path"),
    ],
)
def test_malformed_rows_name_line_and_token(read, text, detail):
    good, bad, last = read(f"g.jpg\t1:1\n{text}\nl.jpg\t0:0\n")
    assert good == row("g.jpg", ("n00000002",), (1.0,))
    assert isinstance(bad, Rejection)
    assert bad.reason == Reason.MALFORMED_ROW
    assert bad.item.endswith("list.txt:2")
    assert bad.detail.startswith(detail)
    assert last == row("l.jpg", ("n00000001",), (0.0,))


def test_several_folders_are_searched(tmp_path):
    for folder, name in (("a", "x/1.jpg"), ("b", "x/2.jpg")):
        (tmp_path / folder / "x").mkdir(parents=True)
        (tmp_path / folder / name).write_bytes(b"x")
    find = ImageFolders([f"{tmp_path}/a", f"{tmp_path}/b"]).find
    assert find("x/1.jpg").path == f"{tmp_path}/a/x/1.jpg"
    assert find("x/2.jpg").path == f"{tmp_path}/b/x/2.jpg"
    assert find("x/3.jpg").path == f"{tmp_path}/a/x/3.jpg"
    assert find(URL).path == f"{tmp_path}/a/{download_name(URL)}"


def test_names_that_leave_the_folder():
    inside = ["a.jpg", "a/b.jpg", "a..b.jpg", "..a/b"]
    outside = ["", "/a", "../a", "a/../../b", "a/..", "a\\b"]
    assert [is_inside(name) for name in inside] == [True] * 4
    assert [is_inside(name) for name in outside] == [False] * 6


@needs_tencent
@pytest.mark.parametrize("name", ["train_urls_tiny", "train_im_list_tiny"])
def test_published_lists(name):
    path = TENCENT / f"{name}.txt"
    dictionary = TENCENT_DICTIONARY
    options = (("dictionary", str(dictionary)),)
    rows = list(read_list(Part("", str(path), options=options)))
    lines = path.read_text().splitlines()
    assert len(rows) == len(lines) == 100
    for found, line in zip(rows, lines, strict=True):
        assert found.image_id == "tencent/" + line.split()[0]
        assert len(found.classes) == len(line.split()) - 1
