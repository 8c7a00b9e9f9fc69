"""Images of a real download, forgotten with all that is logged of them."""

import json

import pytest

from beam_jobs.download.download import Summary, download
from beam_jobs.download.options import DownloadOptions
from beam_jobs.errors import InputError
from beam_jobs.files import folder_lock
from beam_jobs.files.folder_lock import lock_folder
from beam_jobs.forget import proof
from beam_jobs.forget.downloads import forget_downloads
from beam_jobs.forget.names import Names
from beam_jobs.forget.shards import Found
from beam_jobs.images.image_names import download_name
from tests.helpers.misbehaving_server import serving


@pytest.fixture
def downloads(tmp_path):
    with serving() as server:
        urls = [server.url(f"ok/{i}") for i in range(4)]
        urls += [server.url("status/404"), server.url("page/0")]
        (tmp_path / "list.txt").write_text("\n".join(urls))
        options = DownloadOptions(
            out=str(tmp_path / "out"),
            lists=[str(tmp_path / "list.txt")],
            per_host_rate=0.0,
            retries=0,
            allow_private=True,
        )
        download(options, show_progress=False)
    return tmp_path / "out", urls


def names(*texts):
    made = Names()
    made.add(*texts)
    return made


def test_image_log_and_dead_letter_go(downloads):
    out, urls = downloads
    gone = names(urls[1], f"tencent/{urls[4]}")
    before = json.loads((out / "download.json").read_text())
    size = (out / "images" / download_name(urls[1])).stat().st_size
    with pytest.raises(proof.RememberedError):
        proof.prove(str(out), Found(gone))
    assert forget_downloads(str(out), gone) == 1
    proof.prove(str(out), Found(gone))
    summary = json.loads((out / "download.json").read_text())
    assert summary == before | {
        "urls": 4,
        "out": 3,
        "rejected": 1,
        "reasons": {"web_page": 1},
        "bytes": before["bytes"] - size,
    }
    Summary(**summary)
    for url in (urls[0], urls[2], urls[3]):
        assert (out / "images" / download_name(url)).exists()
    logs = "".join(p.read_text() for p in (out / "log").glob("run-*.jsonl"))
    kept = [json.loads(line)["url"] for line in logs.splitlines()]
    assert sorted(kept) == sorted(set(urls) - {urls[1], urls[4]})
    assert forget_downloads(str(out), gone) == 0
    assert json.loads((out / "download.json").read_text()) == summary


def test_a_download_at_work_is_refused(downloads, monkeypatch):
    monkeypatch.setattr(folder_lock, "_PATIENCE", 0.1)
    out, urls = downloads
    with lock_folder(str(out), "x"), pytest.raises(InputError, match="another"):
        forget_downloads(str(out), names(urls[0]))
