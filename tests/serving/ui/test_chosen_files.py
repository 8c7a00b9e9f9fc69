from __future__ import annotations

import asyncio

from serving.ui import chosen_files
from serving.ui.chosen_files import ChosenFiles


def test_files_find_the_place_where_they_were_chosen():
    async def arrive():
        chosen = ChosenFiles()
        chosen.add([("a.jpg", 5), ("b.jpg", 7), ("a.jpg", 9)])
        found = [
            await chosen.find("a.jpg", 9),
            await chosen.find("b.jpg", 7),
        ]
        # One that arrives before the word of it waits.
        waiting = asyncio.create_task(chosen.find("the %22c%22.jpg", 1))
        await asyncio.sleep(0)
        chosen.add([('the "c".jpg', 1)])
        return [*found, await waiting, await chosen.find("a.jpg", 5)]

    assert asyncio.run(arrive()) == [
        (3, "a.jpg"),
        (2, "b.jpg"),
        (4, 'the "c".jpg'),
        (1, "a.jpg"),
    ]


def test_a_file_that_nobody_chose_comes_last(monkeypatch):
    monkeypatch.setattr(chosen_files, "_WAIT_S", 0.05)
    chosen = ChosenFiles()
    chosen.add([("a.jpg", 5)])
    assert asyncio.run(chosen.find("a.jpg", 6)) == (2, "a.jpg")


def test_no_more_is_kept_than_a_tab_can_hold():
    chosen = ChosenFiles()
    chosen.add((f"{n}.jpg", 1) for n in range(5_000))
    assert asyncio.run(chosen.find("4999.jpg", 1)) == (5_000, "4999.jpg")
    assert len(chosen._waiting) < 1_000
