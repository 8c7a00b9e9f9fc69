from dataclasses import replace

from serving.drift.compare import Change, Comparison
from serving.drift.drift import Drift
from serving.drift.read_log import ReadLog
from serving.drift.report import cells, summary, table
from serving.traffic.tallies import Tally

DOG = Change(
    "class",
    "dog",
    "n02084071",
    before=0.1,
    now=0.25,
    statistic=5.0,
    p=1e-6,
    psi=0.25,
    adjusted=1e-4,
    is_alarm=True,
)


def drift(classes, *changes):
    tally = Tally(*classes)
    read = ReadLog(tally, lines=3, used=2, first=0.0, last=60.0)
    read.rejected["not_json"] = 1
    return Drift(tally, "a log", read, Comparison(changes))


def test_a_summary_whose_counts_add_up(classes):
    untested = replace(DOG, tested=False, is_alarm=False)
    lines = summary(drift(classes, DOG, untested), 0.01)
    assert lines == [
        "3 lines = 2 requests used + 1 left out (1 not json)",
        "window: 0 images, 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z",
        "reference: a log",
        "1 alarm of 1 tests at 0.01 together; 1 classes, subtrees and "
        "figures have too few images for a test",
    ]


def test_shares_and_figures_in_words():
    assert cells(DOG) == (
        *("class", "dog", "n02084071"),
        *("10.00 %", "25.00 %", "0.2500", "0.0001"),
    )
    light = replace(DOG, kind="figure", name="brightness", before=117.25)
    assert cells(light)[3] == "117.2"
    assert cells(replace(DOG, adjusted=0.0))[-1] == "< 1e-300"
    broken = replace(DOG, kind="figure", name="invalid images", tested=False)
    assert cells(broken)[3:] == ("10.00 %", "25.00 %", "0.2500", "too few")


def test_a_table_of_alarms_or_of_the_surest(classes):
    calm = replace(DOG, is_alarm=False)
    assert table(drift(classes, DOG, calm)).row_count == 1
    found = table(drift(classes, *[calm] * 9))
    assert found.row_count == 5 and "no alarm" in str(found.title)
    found = table(drift(classes, *[DOG] * 9), most=3)
    assert found.row_count == 3 and "3 of 9" in str(found.title)
