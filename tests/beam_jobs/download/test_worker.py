"""One worker against a server that fails in every way."""

from __future__ import annotations

import socket

import pytest

from beam_jobs.download.log import OK, Outcome, log_files, read_log
from beam_jobs.download.options import DownloadOptions
from beam_jobs.download.share import Batch, Run
from beam_jobs.download.worker import Counts, JobGoneError, finish_share
from beam_jobs.images.image_names import download_name
from beam_jobs.images.options import ImageLimits
from beam_jobs.rejections import Reason
from tests.helpers.images import noise_image
from tests.helpers.misbehaving_server import serving

# What each path ends as, and after how many requests with one retry.
ENDS = {
    "ok/1": (OK, 1),
    "png/2": (OK, 1),
    "moved/5": (OK, 1),
    "packed/3": (OK, 1),
    "cut_once/6": (OK, 2),
    "busy_once/7": (OK, 2),
    "greedy/8": (OK, 2),
    "broken_once/9": (OK, 2),
    "slow/0": ("timeout", 2),
    "hang/0": ("timeout", 2),
    "status/408": ("timeout", 2),
    "cut/0": ("cut_off", 2),
    "long/0": ("cut_off", 2),
    "chunks/0": ("cut_off", 2),
    "busy/0": ("rate_limited", 2),
    "status/500": ("server_error", 2),
    "status/503": ("server_error", 2),
    "reset/0": ("connection_failed", 2),
    "noise/0": ("connection_failed", 2),
    "status/404": ("not_found", 1),
    "status/410": ("not_found", 1),
    "status/403": ("refused", 1),
    "status/206": ("refused", 1),
    "nowhere/0": ("refused", 1),
    "loop/100": ("too_many_redirects", 1),
    "gone/0": ("placeholder", 1),
    "robots/0": ("opted_out", 1),
    "robots/1": (OK, 1),
    "robots/2": ("opted_out", 1),
    "file/0": ("bad_url", 1),
    "page/0": ("web_page", 1),
    "dressed/0": ("web_page", 1),
    "xml/0": ("web_page", 1),
    "empty/0": ("empty_file", 1),
    "huge/0": ("too_many_bytes", 1),
    "announced/0": ("too_many_bytes", 1),
    "packed_bomb/0": ("too_many_bytes", 1),
    "bomb/0": ("too_many_pixels", 1),
    "tiny/0": ("too_small", 1),
    "pdf/0": ("not_an_image", 1),
    "truncated/0": ("broken_image", 1),
}
LIMITS = ImageLimits(max_bytes=1_000_000, max_pixels=1_000_000, min_side=8)


def options(out, **changed) -> DownloadOptions:
    values = {
        "out": str(out),
        "lists": ("list.txt",),
        "per_host_rate": 0.0,
        "per_host_concurrency": 0,
        "read_timeout": 2.0,
        "timeout": 20.0,
        "retries": 1,
        "backoff": 0.01,
        "max_wait": 2.0,
        "limits": LIMITS,
        "allow_private": True,
        "user_agent": "test",
    }
    return DownloadOptions(**{**values, **changed})


def work(given: DownloadOptions, urls, run: Run | None = None, alive=None):
    """Returns outcomes by URL and the counts, with the log read first."""
    batches = [Batch(0, 0, 0, "list.txt", tuple(urls))]
    run = run or Run(1)
    for number in range(1, run.number):
        for path in log_files(given.out, number):
            batches.append(Batch(-number, 0, 0, path, tuple(read_log(path))))
    alive = alive or (lambda: True)
    *items, counts = finish_share(given, run, 0, batches, alive)
    assert isinstance(counts, Counts)
    return {item.outcome.url: item.outcome for item in items}, counts


def saved(out) -> set[str]:
    return {str(p.relative_to(out / "images")) for p in out.glob("images/*/*")}


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """All misbehaviour in one job, and the same job started again."""
    out = tmp_path_factory.mktemp("out")
    with serving() as server:
        urls = [server.url(path) for path in ENDS]
        found, counts = work(options(out), urls)
        first = server.counts()
        again, _ = work(options(out, retries=0), urls, Run(2))
        yield server, out, (found, counts, first), (again, server.counts())


@pytest.mark.parametrize("path", ENDS)
def test_every_way_to_fail_has_its_class(everything, path):
    server, _, (found, _, _), _ = everything
    outcome = found[server.url(path)]
    assert (outcome.status, outcome.attempts) == ENDS[path], outcome


@pytest.mark.parametrize("path", ENDS)
def test_requests_are_as_many_as_attempts(everything, path):
    _, _, (_, _, requests), _ = everything
    # A reset of a connection that was used before is no attempt.
    most = ENDS[path][1] * (2 if path == "reset/0" else 1)
    assert ENDS[path][1] <= requests[path] <= most


def test_only_good_pictures_get_a_name(everything):
    server, out, (found, counts, _), _ = everything
    good = {path for path, (status, _) in ENDS.items() if status == OK}
    names = {download_name(server.url(path)) for path in good}
    assert saved(out) == names
    assert counts == Counts(urls=len(ENDS), duplicates=0, fetched=len(ENDS))
    kept = out / "images" / download_name(server.url("ok/1"))
    assert kept.read_bytes() == noise_image(1)
    assert list((out / "partial").iterdir()) == []
    one = found[server.url("ok/1")]
    assert (one.width, one.height, one.bytes) == (40, 48, len(noise_image(1)))
    assert one.content_type == "image/jpeg"


def test_redirects_are_limited_and_placeholders_not_asked_for(everything):
    _, _, (_, _, requests), _ = everything
    hops = [path for path in requests if path.startswith("loop/")]
    assert len(hops) == 6  # the URL itself and 5 redirects
    assert not any("photo_unavailable" in path for path in requests)


def test_no_cookie_comes_back(everything):
    assert everything[0].cookies == 0


def test_retry_after_is_kept_and_capped(everything):
    server = everything[0]
    first, second = server.requests["/busy_once/7"]
    assert second - first >= 0.99
    # A day was asked for; at most 2 s are given.
    assert len(server.requests["/greedy/8"]) == 2


def test_a_rerun_asks_only_for_what_may_have_passed(everything):
    _, _, (_, _, before), (_, after) = everything
    transient = {
        "timeout",
        "cut_off",
        "rate_limited",
        "server_error",
        "connection_failed",
    }
    for path, (status, _) in ENDS.items():
        asked = after[path] - before[path]
        assert bool(asked) == (status in transient), path
        assert asked <= 1 or path == "reset/0"


def test_a_rerun_knows_all_items(everything):
    _, _, (found, _, _), (again, _) = everything
    assert {u: o.status for u, o in again.items()} == {
        u: o.status for u, o in found.items()
    }


def test_hosts_that_are_not_there(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        urls = {
            "http://no-such-host.invalid/a.jpg": "unknown_host",
            f"http://127.0.0.1:{port}/a.jpg": "connection_failed",
            "ftp://example.org/a.jpg": "bad_url",
            "http://": "bad_url",
            "http://[::1/a.jpg": "bad_url",
            "http://me:secret@127.0.0.1/a.jpg": "bad_url",
            "http://127.0.0.1:99999/a.jpg": "bad_url",
            "not a url": "bad_url",
            "http://127.0.0.1/" + "a" * 9000: "bad_url",
        }
        found, _ = work(options(tmp_path), urls)
    assert {url: o.status for url, o in found.items()} == urls


def test_private_addresses_are_refused(tmp_path):
    with serving() as server:
        port = server.server_address[1]
        urls = [
            server.url("ok/1"),
            f"http://localhost:{port}/ok/2",
            f"http://2130706433:{port}/ok/3",
            f"http://[::ffff:127.0.0.1]:{port}/ok/4",
            f"http://0.0.0.0:{port}/ok/5",
        ]
        given = options(tmp_path, allow_private=False, retries=0)
        found, _ = work(given, urls)
        assert {o.status for o in found.values()} == {"bad_url"}
        assert server.counts() == {}


def test_the_limits_of_a_host_hold(tmp_path):
    rate, count = 20.0, 21
    with serving() as server:
        urls = [server.url(f"ok/{i}") for i in range(count)]
        work(options(tmp_path, per_host_rate=rate), urls)
        times = sorted(t for at in server.requests.values() for t in at)
    assert len(times) == count
    # 20 intervals of 50 ms; the server may see the first one late.
    assert times[-1] - times[0] >= 0.9 * (count - 1) / rate


def test_more_bytes_than_announced_make_no_picture(tmp_path):
    with serving() as server:
        urls = [server.url("short/0"), server.url("ok/1")]
        found, _ = work(options(tmp_path, concurrency=1), urls)
    # It depends on how the bytes arrive.
    assert found[urls[0]].status in ("broken_image", "connection_failed")
    assert found[urls[1]].status == OK


def test_a_connection_closed_while_idle_costs_no_attempt(tmp_path):
    with serving() as server:
        urls = [server.url(path) for path in ("ok/1", "closes/2", "ok/3")]
        given = options(tmp_path, concurrency=1, retries=0)
        found, _ = work(given, urls)
        assert {o.status for o in found.values()} == {OK}
        assert server.counts()["closes/2"] == 2


def test_replay_asks_again_for_its_class_only(tmp_path):
    with serving() as server:
        urls = [server.url(p) for p in ("status/404", "page/1", "ok/1")]
        work(options(tmp_path), urls)
        replay = {Reason.NOT_FOUND: 2}
        _, counts = work(options(tmp_path), urls, Run(2, "", replay))
        assert counts.fetched == 1
        # A replay that was stopped is gone on with, not begun again.
        _, counts = work(options(tmp_path), urls, Run(3, "", replay))
        assert counts.fetched == 0
        requests = server.counts()
    assert requests == {"status/404": 2, "page/1": 1, "ok/1": 1}


def test_a_picture_without_its_log_line_is_not_fetched_again(tmp_path):
    with serving() as server:
        url, lost = server.url("ok/1"), server.url("ok/2")
        work(options(tmp_path), [url, lost])
        log = tmp_path / "log" / log_files(str(tmp_path))[0]
        lines = log.read_text().splitlines()
        # The job was killed while it wrote the second line.
        log.write_text(lines[0] + "\n" + lines[1][:40])
        found, counts = work(options(tmp_path), [url, lost], Run(2))
        assert counts.fetched == 0
        assert server.counts() == {"ok/1": 1, "ok/2": 1}
    assert {o.attempts for o in found.values()} == {0, 1}


def test_a_picture_that_was_removed_or_cut_is_fetched_again(tmp_path):
    with serving() as server:
        urls = [server.url(f"ok/{i}") for i in range(3)]
        work(options(tmp_path), urls)
        images = tmp_path / "images"
        (images / download_name(urls[0])).unlink()
        (images / download_name(urls[1])).write_bytes(b"")
        _, counts = work(options(tmp_path), urls, Run(2))
        assert counts.fetched == 2
    assert (images / download_name(urls[1])).read_bytes() == noise_image(1)


def test_a_share_given_twice_within_a_run_is_gone_on_with(tmp_path):
    with serving() as server:
        urls = [server.url(p) for p in ("ok/1", "status/404", "status/500")]
        work(options(tmp_path), urls)
        _, counts = work(options(tmp_path), urls)
        assert counts.fetched == 0


def test_known_placeholders_are_refused_by_content(tmp_path):
    import hashlib

    known = frozenset({hashlib.sha256(noise_image(1)).hexdigest()})
    with serving() as server:
        urls = [server.url("ok/1"), server.url("ok/2")]
        found, _ = work(options(tmp_path, placeholders=known), urls)
    assert [found[url].status for url in urls] == ["placeholder", OK]


def test_a_worker_stops_when_its_job_is_gone(tmp_path):
    with serving() as server:
        given = options(tmp_path, read_timeout=30.0, timeout=30.0)
        with pytest.raises(JobGoneError):
            work(given, [server.url("slow/0")], alive=lambda: False)


def test_the_log_says_everything_of_an_item(tmp_path):
    with serving() as server:
        found, _ = work(options(tmp_path), [server.url("ok/1")])
    (path,) = log_files(str(tmp_path))
    (logged,) = read_log(path)
    assert isinstance(logged, Outcome)
    assert logged == found[server.url("ok/1")]
