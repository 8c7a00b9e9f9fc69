"""Tests of the log that a training leaves in its folder."""

import re
import sys

import pytest

from beam_jobs.errors import InputError
from model.training.train_log import keeping_log
from model.workdir import LOG

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def test_what_is_printed_is_kept_over_runs(tmp_path, capsys):
    with keeping_log(tmp_path / "run"):
        met = sys.stdout
        print("epoch", 1, end="")
        print(" done")
    with pytest.raises(InputError), keeping_log(tmp_path / "run"):
        print("epoch 2")
        raise InputError("the disk is full")
    # Libraries keep the stream that they have met.
    print("behind it", file=met)
    assert capsys.readouterr().out == "epoch 1 done\nepoch 2\nbehind it\n"
    kept = (tmp_path / "run" / LOG).read_text()
    lines = ["epoch 1 done", "epoch 2", "the disk is full"]
    assert re.fullmatch("".join(f"{TIME} {line}\n" for line in lines), kept)
