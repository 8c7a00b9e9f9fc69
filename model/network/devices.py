"""Which graphics card a worker takes, where no strategy says so."""

from __future__ import annotations

import tensorflow as tf

from model.workers.team import Team


def take_own(team: Team) -> None:
    """Takes the n-th graphics card as the n-th worker on this machine.

    More workers than cards share them. One worker alone is left what it has;
    it uses the first.
    """
    cards = tf.config.list_physical_devices("GPU") if team.count > 1 else []
    if not cards:
        return
    own = cards[team.place % len(cards)]
    tf.config.set_visible_devices(own, "GPU")
    # Else the first to come takes all memory.
    tf.config.experimental.set_memory_growth(own, True)
