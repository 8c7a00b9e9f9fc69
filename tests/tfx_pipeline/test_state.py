from tfx_pipeline import state


def test_what_is_written_is_read(tmp_path):
    root = str(tmp_path)
    assert state.read_json(root, "a", "b.json") is None
    state.write_json(root, {"x": 1}, "a", "b.json")
    assert state.read_json(root, "a", "b.json") == {"x": 1}
    assert (tmp_path / "state/a/b.json").is_file()


def test_what_is_gone_is_pushed_again(tmp_path):
    root = str(tmp_path)
    assert state.push_again(root) == ""
    version = tmp_path / "17"
    version.mkdir()
    state.write_json(root, {"pushed_to": str(version)}, state.LAST_RUN)
    assert state.push_again(root) == ""
    version.rmdir()
    first = state.push_again(root)
    # Gone once more, it is another push.
    assert first and state.push_again(root) not in ("", first)
    # There again, the push of then is the one in the cache.
    version.mkdir()
    kept = state.push_again(root)
    assert kept == state.push_again(root) != first


def test_a_blessing_is_kept_once(tmp_path):
    root = str(tmp_path)
    first, second = {"model": "m1", "data": "d"}, {"model": "m2", "data": "d"}
    for blessing in (first, second, first):
        state.add_blessing(root, blessing)
    assert state.read_blessings(root) == [first, second]
