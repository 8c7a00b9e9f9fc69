"""The whole job: lists in, pictures, dead letters and a summary out."""

from __future__ import annotations

import json

import pytest

from beam_jobs.download.cli import describe, next_step, split_arguments
from beam_jobs.download.download import Summary, count_workers, download
from beam_jobs.download.options import (
    DownloadOptions,
    parse_reasons,
    read_placeholders,
)
from beam_jobs.errors import InputError
from beam_jobs.files.folder_lock import is_held, lock_folder
from beam_jobs.images.image_names import download_name
from beam_jobs.rejections import Reason
from tests.helpers import datasets
from tests.helpers.misbehaving_server import serving


def options(out, lists, **changed) -> DownloadOptions:
    values = {
        "per_host_rate": 0.0,
        "retries": 0,
        "backoff": 0.01,
        "allow_private": True,
    }
    lists = [str(path) for path in lists]
    return DownloadOptions(out=str(out), lists=lists, **{**values, **changed})


def run(out, lists, beam_args=(), **changed) -> Summary:
    given = options(out, lists, **changed)
    return download(given, beam_args, show_progress=False)


def letters(out) -> dict[str, list[dict]]:
    return {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()]
        for path in (out / "dead_letters").glob("*.jsonl")
    }


def saved(out) -> set[str]:
    return {str(p.relative_to(out / "images")) for p in out.glob("images/*/*")}


@pytest.fixture
def server():
    with serving() as server:
        yield server


def test_lists_of_every_kind_become_one_folder(tmp_path, server):
    ok = [server.url(f"ok/{i}") for i in range(6)]
    tencent = tmp_path / "tencent.txt"
    tencent.write_text(f"{ok[0]}\t1:1\t5:0.9\n{ok[1]} 2:1.0\n\n{ok[0]}\t1:1\n")
    plain = tmp_path / "plain.txt"
    gone = server.url("status/404")
    plain.write_text(f"\ufeff{ok[2]}\r\n{ok[1]}\nno url\n{gone}\n")
    images = tmp_path / "images.csv"
    images.write_text(
        "ImageID,OriginalURL,Title\n"
        f'a,{ok[3]},"a, b"\nb\nc,{ok[4]},c\nd,,no address\n'
    )
    summary = run(tmp_path / "out", [tencent, plain, images])
    assert summary == Summary(
        urls=7,
        duplicates=2,
        out=5,
        rejected=2,
        reasons={"bad_url": 1, "malformed_row": 2, "not_found": 1},
        bytes=summary.bytes,
        fetched=6,
    )
    out = tmp_path / "out"
    assert saved(out) == {download_name(url) for url in ok[:5]}
    assert json.loads((out / "download.json").read_text())["urls"] == 7
    assert letters(out)["not_found"] == [
        {
            "item": gone,
            "reason": "not_found",
            "detail": "status 404",
            "path": str(plain),
        }
    ]
    rows = [letter["item"] for letter in letters(out)["malformed_row"]]
    assert rows == [f"{images}:3", f"{images}:5"]
    assert sorted(p.name for p in out.iterdir() if p.name[0] != ".") == [
        "dead_letters",
        "download.json",
        "images",
        "log",
    ]


def test_downloads_of_open_images_need_no_other_names(tmp_path, server):
    urls = [server.url(f"ok/{i}") for i in range(4)]
    source = tmp_path / "open_images"
    source.mkdir()
    table = source / "train-images-boxable-with-rotation.csv"
    rows = [f"i{i},{url},90.0" for i, url in enumerate(urls[:3])]
    text = "\n".join(["ImageID,OriginalURL,Rotation", *rows])
    # What could not be fetched is missing.
    gone = server.url("status/404")
    table.write_text(f"{text}\ni3,{gone},0.0\n")
    labels = [f"i{i},verification,/m/0,1" for i in range(4)]
    (source / "train-annotations-human-imagelabels.csv").write_text(
        "\n".join(["ImageID,Source,LabelName,Confidence", *labels])
    )
    (source / "class-descriptions.csv").write_text("/m/0,Dog\n")
    run(tmp_path / "out", [table])
    made = datasets.build(
        datasets.options(
            tmp_path,
            imagenet=[],
            open_images=[str(source)],
            images=[str(tmp_path / "out" / "images")],
        )
    )
    assert made.images["out"] == 3
    assert made.rejected == {"missing_image": 1}
    ids = datasets.read_examples(tmp_path / "dataset").keys()
    assert ids == {"open_images/i0", "open_images/i1", "open_images/i2"}


def test_one_content_under_many_urls_is_a_placeholder(tmp_path, server):
    urls = [server.url(f"same/{i}") for i in range(5)]
    good = server.url("ok/1")
    path, out = tmp_path / "list.txt", tmp_path / "out"
    path.write_text("\n".join([*urls, good]))
    first = run(out, [path], placeholder_copies=5)
    assert (first.out, first.reasons) == (1, {"placeholder": 5})
    assert saved(out) == {download_name(good)}
    found = letters(out)
    assert found["placeholder"][0]["detail"].startswith("content of 5 URLs")
    again = run(out, [path], placeholder_copies=5)
    assert again.fetched == 0
    assert letters(out) == found
    replay = frozenset({Reason.PLACEHOLDER})
    replayed = run(out, [path], placeholder_copies=6, replay=replay)
    assert (replayed.fetched, replayed.out) == (5, 6)


def test_shares_by_host_give_the_same_folder(tmp_path, server):
    paths = [f"ok/{i}" for i in range(20)] + ["status/404", "page/1"]
    # Two names of one machine.
    port = server.server_address[1]
    urls = [server.url(p) for p in paths]
    urls += [f"http://localhost:{port}/{p}" for p in paths]
    path = tmp_path / "list.txt"
    path.write_text("\n".join(urls))
    alone = run(tmp_path / "a", [path])
    threads = ("--direct_num_workers", "2")
    threads += ("--direct_running_mode", "multi_threading")
    shared = run(tmp_path / "b", [path], threads, per_host_rate=1000.0)
    assert alone == shared
    assert letters(tmp_path / "a") == letters(tmp_path / "b")
    assert saved(tmp_path / "a") == saved(tmp_path / "b")


def test_wrong_input_is_refused_at_once(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="a list of URLs, one at the"):
        run(tmp_path / "out", [path])
    with pytest.raises(InputError, match="no column 'link'; it has: a, b"):
        run(tmp_path / "out", [path], url_column="link")
    with pytest.raises(InputError, match="no such file"):
        run(tmp_path / "out", [tmp_path / "none.txt"])
    with pytest.raises(InputError, match="neither tagforest nor Beam knows"):
        run(tmp_path / "out", [path], ["--concurency", "3"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name, value",
    [
        ("concurrency", 0),
        ("timeout", 0),
        ("retries", -1),
        ("per_host_rate", float("nan")),
        ("placeholder_copies", 1),
    ],
)
def test_wrong_options_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        options("out", ["list.txt"], **{name: value})


def test_names_of_classes_are_checked():
    assert parse_reasons(["timeout"]) == {Reason.TIMEOUT}
    with pytest.raises(InputError, match="malformed_row: no such class"):
        parse_reasons(["malformed_row"])


def test_placeholders_are_read(tmp_path):
    path = tmp_path / "known.txt"
    path.write_text("A" * 64 + "  photo.png\n\n" + "b" * 64 + "\n")
    assert read_placeholders(str(path)) == {"a" * 64, "b" * 64}
    path.write_text("abc\n")
    with pytest.raises(InputError, match="known.txt:1: a sha256"):
        read_placeholders(str(path))


def test_a_folder_belongs_to_one_job(tmp_path, monkeypatch):
    monkeypatch.setattr("beam_jobs.files.folder_lock._PATIENCE", 0.2)
    folder = str(tmp_path)
    with lock_folder(folder, "first"):
        assert is_held(folder, "first")
        assert not is_held(folder, "another")
        with pytest.raises(InputError, match="another job is at work"):
            with lock_folder(folder, "second"):
                pass
        assert is_held(folder, "first")
    assert not is_held(folder, "first")


def test_workers_are_counted_from_the_options_of_beam():
    assert count_workers(()) == 1
    assert count_workers(("--direct_num_workers", "3")) == 3
    assert count_workers(("--max_num_workers", "20")) == 20


def test_options_of_beam_follow_the_lists():
    arguments = ["a.txt", "--direct_num_workers", "2"]
    assert split_arguments(arguments) == (["a.txt"], arguments[1:])


def test_the_terminal_tells_what_was_done(tmp_path):
    summary = Summary(3, 1, 2, 1, {"timeout": 1}, 2_500_000, 3)
    assert describe(summary, tmp_path).splitlines() == [
        "3 URLs in = 2 images out (2.5 MB) + 1 rejected",
        "3 fetched in this run, 1 rows named a URL again; images in "
        f"{tmp_path}/images",
        f"  1 x timeout: {tmp_path}/dead_letters/timeout.jsonl",
    ]
    assert next_step(["a.txt"], tmp_path).startswith(
        f"next: tagforest dataset --tencent-lists a.txt --images {tmp_path}"
    )
    assert "dataset --csv a.csv --images" in next_step(["a.csv"], tmp_path)


def test_an_opt_out_is_kept_until_it_is_ignored(tmp_path, server):
    urls = [server.url("robots/0"), server.url("robots/1")]
    lists = [tmp_path / "list.txt"]
    lists[0].write_text("\n".join(urls))
    summary = run(tmp_path / "out", lists)
    assert (summary.out, summary.reasons) == (1, {"opted_out": 1})
    (letter,) = letters(tmp_path / "out")["opted_out"]
    assert (letter["item"], letter["detail"]) == (urls[0], "X-Robots-Tag: noai")
    again = run(tmp_path / "out", lists, ignore_opt_out=True)
    assert (again.out, again.fetched) == (1, 0)
    replayed = run(
        tmp_path / "out",
        lists,
        ignore_opt_out=True,
        replay=frozenset({Reason.OPTED_OUT}),
    )
    assert (replayed.out, replayed.reasons) == (2, {})
