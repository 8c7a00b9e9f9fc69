"""Makes a run of a TensorFlow 1 checkpoint, as Tencent released them.

The run evaluates, exports and starts other trainings like one of ours.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.load_classes import (
    HIERARCHY,
    VOCABULARY,
    is_published,
    load_classes,
)
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.classes.wordnet import load_wordnet, names_of, synset_of
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_file
from model import workdir as files
from model.config import Config, load_config
from model.full_disk import writing
from model.start import begin, released_names, sources
from model.start.sources import RELEASED, Source

_LISTED = re.compile(r"(n\d{8})(?:\s+(.*))?")


def import_tf1(
    checkpoint: str, classes: str, out: str | os.PathLike[str]
) -> Path:
    """Writes a run with the weights and the classes of a checkpoint.

    Args:
        checkpoint: its prefix, its `.index` file, or its folder.
        classes: in the order of its head: Tencent's dictionary, a
            vocabulary.tsv, or a list that has a WordNet id a line, as
            ILSVRC's `LOC_synset_mapping.txt`.
        out: the run's folder, new or empty.

    Returns:
        The folder.

    Raises:
        InputError: a folder with something in it, no such files, a network
            of another kind, or not as many classes as the head has.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is there already: name a new folder")
    source = sources.find(checkpoint)
    if source.kind != RELEASED:
        raise InputError(
            f"{source} is no TensorFlow 1 checkpoint: `tagforest train --from` "
            "takes it as it is"
        )
    vocabulary, hierarchy = _read_classes(classes)
    from model.network.tagger import Tagger
    from model.start import load_weights

    network, shapes = load_weights.released_network(source)
    [theirs] = shapes[released_names.HEAD[1]]
    if theirs != len(vocabulary):
        raise InputError(
            f"{source} has {theirs} classes, {classes} {len(vocabulary)}: "
            "name the list that it was trained with"
        )
    config = load_config("released_resnet101")
    # The scripts that use the checkpoints keep 224 of 256 pixels.
    data = replace(config.data, crop_fraction=0.875)
    config = replace(config, network=network, data=data)
    tagger = Tagger(config, len(vocabulary))
    start = _start_of(source, len(vocabulary))
    for line in begin.begin(tagger, start):
        print(line)
    with writing(out, "the run"):
        _write(out, tagger, config, vocabulary, hierarchy, start)
    return out


def _start_of(source: Source, classes: int) -> begin.Start:
    indices = tuple(range(classes))
    return begin.Start(
        source=os.path.abspath(source.path),
        kind=source.kind,
        sha256=source.sha256,
        classes=indices,
        places=indices,
        theirs=classes,
    )


def _write(
    out: Path,
    tagger,
    config: Config,
    vocabulary: Vocabulary,
    hierarchy: Hierarchy,
    start: begin.Start,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    vocabulary.save(out / VOCABULARY)
    hierarchy.save(out / HIERARCHY, vocabulary)
    begin.save(start, out)
    tagger.save_weights(out / files.WEIGHTS)
    # Last: where it lies, the rest does.
    text = config.to_json()
    (out / files.CONFIG).write_text(text, encoding="utf-8")


def _read_classes(path: str) -> tuple[Vocabulary, Hierarchy]:
    check_file(path, "list of classes")
    if is_published(path) or Path(path).name.endswith(".tsv"):
        return load_classes(path)
    wordnet = load_wordnet()
    classes: list[TagClass] = []
    for line, text in enumerate(storage.read_text(path).splitlines(), 1):
        found = _LISTED.fullmatch(text.strip())
        if not found:
            raise InputError(
                f"{path}:{line}: a line must begin with a WordNet id "
                f"(n01440764); received: {text[:60]!r}"
            )
        wnid, name = found[1], found[2] or ""
        name = name.strip() or names_of(synset_of(wnid, wordnet))
        classes.append(TagClass(len(classes), wnid, name))
    vocabulary = Vocabulary(classes)
    return vocabulary, Hierarchy.from_wordnet(vocabulary)
