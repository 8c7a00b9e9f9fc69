"""The guides: every command runs or is read by the real options.

The default run takes the tutorial from scenes to tags; `make test-large` runs
every command of every guide, but for those of NOT_RUN.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.bench import __main__ as benchmarks
from tests.helpers import guides as read
from tests.helpers.guide_walk import Walk, image_server, prepare
from tests.helpers.guides import ROOT, Command

GUIDES = read.guides()
TUTORIAL = ROOT / "serving" / "demo" / "TUTORIAL.md"
# The benchmarks' commands are for hours of real data.
RUN = [guide for guide in GUIDES if guide.name != "BENCHMARKS.md"]
# What starts a command of `NOT_RUN` -> why it is only read here.
NOT_RUN = {
    "make": "the target is looked up; CI runs `make lint` and `make test`",
    "docker": "needs Docker's engine",
    "tensorboard": "runs until it is stopped; test_tensorboard_starts",
    "python -m pytest": "this is it",
    "python -m tests.bench": "minutes; its own parser reads it",
    "tagforest dataset --imagenet gs:": "needs a bucket and Dataflow",
    "tagforest bulk models/tagforest photos gs:": "needs a bucket",
    "tagforest train grown": "needs classes that the tutorial's run lacks; "
    "tests/model/start/test_begin.py has some",
    "tagforest lineage 1": "a pushed version is a number of seconds; "
    "tests/tfx_pipeline/test_local_runner.py asks for one",
    "tagforest promote": "its models.config is for TensorFlow Serving in "
    "Docker; tests/serving/tfserving/test_labels.py runs it",
    "tagforest rollback": "as `tagforest promote`",
    "tagforest export runs/first --out models/phone": "after one epoch int8 "
    "may lose more than its limit; "
    "tests/serving/formats/test_export_format.py writes every precision",
    "tagforest export runs/first --out models/openvino": "as int8",
    "tagforest drift": "needs a day of requests; "
    "tests/serving/drift/test_cli.py has some",
    "tagforest tag --stdin-image --server https://host": "needs that host's "
    "certificate; tests/serving/server/test_tls.py has one",
    "tagforest tag photos/ https://example.org": "asks a foreign server; "
    "tests/serving/client/test_tag_client.py runs it",
}
FIRST = ("scenes", "dataset", "train", "calibrate", "export", "tag")
# Options of others: Beam's, Docker's, make's.
FOREIGN = {
    *("--runner", "--project", "--region", "--temp_location"),
    *("--sdk_container_image", "--direct_num_workers", "--direct_running_mode"),
    *("--dask_client_address", "--build-arg", "--target", "--help"),
    *("--logdir", "--all-files", "--durations", "--ssl-config-file"),
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module", name="click_commands")
def fixture_click_commands():
    from typer.main import get_command

    from tfx_pipeline.cli import app

    return get_command(app).commands


def why_not(command: Command) -> str | None:
    return next(
        (why for start, why in NOT_RUN.items() if starts(command, start)), None
    )


def starts(command: Command, start: str) -> bool:
    return bool(re.match(rf"{re.escape(start)}(?![\w-])", command.text))


def parse(words: list[str], click_commands) -> None:
    """Reads one command's words as it would; runs nothing."""
    name, *rest = words
    end = next((i for i, w in enumerate(rest) if w in "|<>"), len(rest))
    command = click_commands[name]
    # Of a group the next word is the command.
    while rest and rest[0] in getattr(command, "commands", ()):
        name, *rest = rest
        command, end = command.commands[name], end - 1
    context = command.make_context(name, rest[:end])
    # What goes on to Beam: nobody else would miss an option of ours there.
    assert set(read.options_in(" ".join(context.args))) <= FOREIGN


@pytest.mark.parametrize("guide", GUIDES, ids=name_of)
def test_every_command_is_read(guide, click_commands):
    for command in read.commands(guide):
        words = command.words
        for place, word in enumerate(words):
            if word == "tagforest":
                parse(words[place + 1 :], click_commands)
        if words[0] == "make":
            makefile = (ROOT / "Makefile").read_text()
            assert f"\n{words[1]}: " in makefile, command
        if words[:2] == ["python", "-m"]:
            look_up(words[2:])


def look_up(words: list[str]) -> None:
    """Finds the paths that `python -m` names; parses what benchmarks take."""
    module, *names = words
    if module == "tests.bench":
        benchmarks.parse(names)
    paths = [n.partition("::")[0] for n in names if n.startswith("tests/")]
    assert [p for p in paths if not (ROOT / p).exists()] == []


def test_a_renamed_option_is_missed(click_commands):
    with pytest.raises(Exception, match="No such option: --workfolder"):
        parse(
            ["train", "dataset", "--workfolder", "runs/first"], click_commands
        )
    # Here unknown options go on to Beam.
    with pytest.raises(AssertionError, match="--no-such-thing"):
        parse(
            ["relabel", "dataset", "--out", "b", "--no-such-thing", "1"],
            click_commands,
        )


def test_blocks_are_read_as_a_shell_does(tmp_path, monkeypatch):
    monkeypatch.setattr(read, "ROOT", tmp_path)
    guide = tmp_path / "GUIDE.md"
    guide.write_text(
        "Text.\n```sh\na --b-c=1 \\\n  'd e'   # why\nf . |\n  g < h\n```\n"
        "`i --j2` and x--k.\n"
    )
    first, second = read.commands(guide)
    assert (first.place, first.words) == ("GUIDE.md:2", ["a", "--b-c=1", "d e"])
    assert first.is_plain
    assert second.words == ["f", ".", "|", "g", "<", "h"]
    assert not second.is_plain
    assert list(read.spans(guide)) == ["i --j2"]
    assert read.options_in(guide.read_text()) == ["--b-c", "--j2"]


@pytest.mark.parametrize("guide", GUIDES, ids=name_of)
def test_every_option_in_the_text_exists(guide, click_commands):
    options = {
        name: {
            option
            # Of a group those of its commands.
            for c in (command, *getattr(command, "commands", {}).values())
            for p in c.params
            for option in (*p.opts, *p.secondary_opts)
        }
        for name, command in click_commands.items()
    }
    everywhere = set().union(*options.values()) | FOREIGN
    for span in read.spans(guide):
        words = span.split()
        known = everywhere
        if words[0] == "tagforest":
            known = options.get(" ".join(words[1:2]), everywhere) | FOREIGN
        if words[:3] == ["python", "-m", "tests.bench"]:
            look_up(words[2:])
            continue
        assert set(read.options_in(span)) <= known, span


@pytest.mark.parametrize("guide", GUIDES, ids=name_of)
def test_every_link_leads_somewhere(guide):
    lost = [
        link
        for link in read.links(guide)
        if not (guide.parent / link).resolve().exists()
    ]
    assert lost == []


@pytest.mark.parametrize("guide", GUIDES, ids=name_of)
def test_every_module_named_exists(guide):
    modules = [s for s in read.spans(guide) if re.fullmatch(r"[\w/]+\.py", s)]
    every = [name_of(p) for p in ROOT.rglob("*.py") if ".venv" not in p.parts]
    assert [m for m in modules if not any(e.endswith(m) for e in every)] == []


@pytest.mark.parametrize("package", ["beam_jobs", "model", "serving"])
def test_every_folder_is_described(package):
    text = (ROOT / package / "README.md").read_text()
    table = text.partition("\n## Where things are\n")[2]
    folders = {p.parent.name for p in (ROOT / package).glob("*/__init__.py")}
    assert sorted(re.findall(r"^\| `(\w+)/` \|", table, re.M)) == sorted(
        folders
    )


def test_every_reason_is_needed():
    every = [c for guide in GUIDES for c in read.commands(guide)]
    idle = [s for s in NOT_RUN if not any(starts(c, s) for c in every)]
    assert idle == []


@pytest.fixture(scope="module", name="walk")
def fixture_walk(tmp_path_factory, click_commands):
    folder = tmp_path_factory.mktemp("guides")
    walk = Walk(click_commands)
    with pytest.MonkeyPatch.context() as patch, image_server(folder) as address:
        patch.chdir(folder)
        prepare(folder, address)
        yield walk
    walk.stop()


STEPS = [
    command
    for command in read.commands(TUTORIAL)
    if command.words[0] == "tagforest" and command.words[1] in FIRST
]


@pytest.mark.parametrize("step", range(len(STEPS)), ids=lambda i: STEPS[i].text)
def test_the_tutorial_from_scenes_to_tags(step, walk):
    for command in STEPS[: step + 1]:
        walk.run(command)


@pytest.mark.large
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("guide", RUN, ids=name_of)
def test_every_command_runs(guide, walk):
    # The other guides start with what the tutorial has made.
    before = [] if guide == TUTORIAL else STEPS
    for command in [*before, *read.commands(guide)]:
        if why_not(command) is None:
            walk.run(command)
    for _, text in read.blocks(guide, "python"):
        walk.python(text)
