"""Files of a model's predictions: what it is sure of, image by image.

JSON lines (.jsonl, .ndjson), an image a line, all its scores or some:

    {"image_id": "imagenet/n02084071_7", "scores": {"n02084071": 0.97}}

or a table (.csv, .tsv) with a header, a score a line:

    image_id,wnid,score
    imagenet/n02084071_7,n02084071,0.97
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from beam_jobs.classes.own_classes import is_class_id
from beam_jobs.errors import InputError
from beam_jobs.files import storage, text_files
from beam_jobs.rejections import Rejection
from beam_jobs.sources.reader import Part
from beam_jobs.sources.text_rows import TEXT_BYTES, MalformedRows, cut_text

IMAGE_ID, WNID, SCORE = "image_id", "wnid", "score"
SCORES = "scores"
COLUMNS = (IMAGE_ID, WNID, SCORE)

CSV, TSV, JSON_LINES = "scores_csv", "scores_tsv", "scores_jsonl"
KINDS = {
    ".csv": CSV,
    ".tsv": TSV,
    ".jsonl": JSON_LINES,
    ".ndjson": JSON_LINES,
}


class ScoreRow(NamedTuple):
    """One sound row of a file of scores.

    Attributes:
        image_id: as in the records of a data set.
        ids: indices of the classes that score above the threshold.
        unknown: how many scores are of classes that the vocabulary lacks.
    """

    image_id: str
    ids: tuple[int, ...]
    unknown: int


def find_parts(
    paths: Sequence[str], part_bytes: int = TEXT_BYTES
) -> list[Part]:
    """Returns the parts of files of scores.

    Raises:
        InputError: no such file, an empty one, of an unknown kind, or a
            table without the columns.
    """
    parts: list[Part] = []
    for path in paths:
        kind = KINDS.get(os.path.splitext(path)[1].lower())
        if kind is None:
            raise InputError(
                f"{path}: a file of scores ends in {', '.join(KINDS)}; "
                "write it as one of these"
            )
        path, size = storage.find_file(path)
        options = [] if kind == JSON_LINES else _columns(path, kind)
        parts += cut_text(kind, path, size, options, part_bytes)
    return parts


def read_scores(
    part: Part, index_by_wnid: Mapping[str, int], posterior: float
) -> Iterator[ScoreRow | Rejection]:
    """Yields every row of a part; empty lines are no rows.

    Args:
        part: of `find_parts`.
        index_by_wnid: the vocabulary.
        posterior: a class is positive with a higher score.
    """
    parse = _parser(part, index_by_wnid, posterior)
    reject = MalformedRows(part)
    header = 0 if part.reader == JSON_LINES or part.start else 1
    for number, line in enumerate(part.lines()):
        if number < header:
            continue
        if isinstance(line, text_files.BadRow):
            yield reject(number, line.detail)
        elif line.strip():
            try:
                row = parse(line)
            except ValueError as error:
                yield reject(number, str(error))
            else:
                yield row


def parse_json(
    line: str, index_by_wnid: Mapping[str, int], posterior: float
) -> ScoreRow:
    """Parses a line of JSON lines.

    Raises:
        ValueError: malformed; says how.

    Example:
        >>> line = '{"image_id": "a", "scores": {"n00000001": 0.96}}'
        >>> parse_json(line, {"n00000001": 3}, posterior=0.95)
        ScoreRow(image_id='a', ids=(3,), unknown=0)
    """
    try:
        row = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deep") from None
    image_id = row.get(IMAGE_ID) if isinstance(row, dict) else None
    scores = row.get(SCORES) if isinstance(row, dict) else None
    if not isinstance(image_id, str) or not image_id:
        raise ValueError(f"{IMAGE_ID!r}, a text, is needed: {line[:80]}")
    if not isinstance(scores, dict):
        raise ValueError(
            f"{SCORES!r}, an object of WordNet id to score, is needed: "
            f"{line[:80]}"
        )
    ids, unknown = [], 0
    for wnid, score in scores.items():
        if type(score) not in (float, int) or not 0 <= score <= 1:
            raise ValueError(f"{wnid[:80]}: {_ask_score(str(score))}")
        index = index_by_wnid.get(wnid)
        if index is None:
            _check_wnid(wnid)
            unknown += 1
        elif score > posterior:
            ids.append(index)
    return ScoreRow(image_id, tuple(ids), unknown)


def parse_fields(
    fields: Sequence[str] | text_files.BadRow,
    positions: tuple[int, int, int],
    index_by_wnid: Mapping[str, int],
    posterior: float,
) -> ScoreRow:
    """Parses the fields of a table's row.

    Args:
        positions: of image id, WordNet id and score among the fields.

    Raises:
        ValueError: malformed; says how.
    """
    if isinstance(fields, text_files.BadRow):
        raise ValueError(fields.detail)
    if len(fields) <= max(positions):
        raise ValueError(
            f"{max(positions) + 1} fields are needed; received: {len(fields)}"
        )
    image_id, wnid, text = (fields[p] for p in positions)
    if not image_id:
        raise ValueError(f"the {IMAGE_ID} is empty")
    score = _parse_score(text)
    index = index_by_wnid.get(wnid)
    if index is None:
        _check_wnid(wnid)
        return ScoreRow(image_id, (), 1)
    return ScoreRow(image_id, (index,) if score > posterior else (), 0)


def _parser(
    part: Part, index_by_wnid: Mapping[str, int], posterior: float
) -> Callable[[str], ScoreRow]:
    if part.reader == JSON_LINES:
        return lambda line: parse_json(line, index_by_wnid, posterior)
    image_id, wnid, score = (int(part.option(name) or 0) for name in COLUMNS)
    positions = (image_id, wnid, score)

    def split(line: str) -> list[str] | text_files.BadRow:
        if part.reader == TSV:
            return line.split("\t")
        return text_files.split_csv(line)

    return lambda line: parse_fields(
        split(line), positions, index_by_wnid, posterior
    )


def _columns(path: str, kind: str) -> list[tuple[str, str]]:
    """Returns (column, position) of a table's columns."""
    if kind == TSV:
        first = next(text_files.read_lines(path), "")
        header = first.split("\t") if isinstance(first, str) else []
    else:
        header = text_files.read_header(path)
    header = [name.strip() for name in header]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise InputError(
            f"{path}:1: the header must name the columns "
            f"{', '.join(COLUMNS)}; received: {', '.join(header)[:200]!r}"
        )
    return [(name, str(header.index(name))) for name in COLUMNS]


def _parse_score(text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        raise ValueError(_ask_score(text)) from None
    if not 0 <= score <= 1:
        raise ValueError(_ask_score(text))
    return score


def _ask_score(received: str) -> str:
    return f"a score of 0 to 1 is needed; received: {received[:80]!r}"


def _check_wnid(wnid: str) -> None:
    if not is_class_id(wnid):
        raise ValueError(
            "a class is a WordNet id, 'n' and 8 digits, as n02084071, or one "
            f"as own:stop_sign; received: {wnid[:80]!r}"
        )
