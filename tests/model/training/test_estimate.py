"""Tests of model.training.estimate."""

import dataclasses

from model.training.estimate import (
    Disk,
    Estimate,
    Memory,
    Seconds,
    as_json,
    lines,
)

FOUND = Estimate(
    name="any",
    workers=2,
    batch_size=64,
    epochs=10,
    steps=100,
    looks=5,
    saves=20,
    forward_flops=2 * 10**9,
    flops=6 * 10**9,
    network=8_000_000,
    memory=Memory(
        parameters=2_000_000,
        weights=8_000_000,
        gradients=7_900_000,
        averages=100_000,
        optimizer=15_800_000,
        activations=1_500_000,
        images=32,
        input_batches=3_000_000,
        process=1_200_000_000,
        device=None,
    ),
    seconds=Seconds(
        start=10.0, step=0.5, epoch_end=2.0, look=4.0, checkpoint=1.0, end=3.0
    ),
    disk=Disk(
        checkpoint=24_000_000, checkpoints=3, weights=8_000_000, logs=999
    ),
)


def test_the_times_add_up():
    # 10 + 10 * (100 * 0.5 + 2) + 5 * 4 + 20 * 1 + 3
    assert FOUND.total_seconds == 573.0
    assert FOUND.disk.total == 80_000_999
    found = as_json(FOUND)
    assert found["seconds"]["total"] == 573.0
    assert found["disk"]["total"] == 80_000_999


def told(found):
    return {line[:16].strip(): line[16:] for line in lines(found)}


def test_what_is_told():
    said = told(FOUND)
    assert said["memory"].startswith("1.2 GB ")
    assert said["activations"].startswith("1.5 MB an image ")
    assert "128 images/s measured, without network" in said["a step"]
    assert said["time in all"].startswith("9 min 33 s ")
    assert said["checkpoints"].startswith("3 x 24 MB ")
    assert said["network"].startswith("8 MB a step ")
    assert max(map(len, lines(FOUND))) <= 80


def test_what_is_not_known_is_said():
    alone = dataclasses.replace(
        FOUND, workers=1, looks=0, saves=0, forward_flops=None
    )
    said = told(alone)
    assert said["FLOPs an image"].startswith("unknown ")
    assert not {"network", "validation", "checkpoint"} & set(said)
    assert "without network" not in "".join(said.values())
