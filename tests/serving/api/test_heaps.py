import platform

import pytest

from serving.api.heaps import limit_arenas


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_arenas_are_limited_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.setenv("MALLOC_ARENA_MAX", "8")
    assert not limit_arenas()
    monkeypatch.delenv("MALLOC_ARENA_MAX")
    assert limit_arenas(2)
    assert limit_arenas()
