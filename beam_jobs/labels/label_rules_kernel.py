"""The compiled loops of `label_rules`. Importing this imports numba.

All loops run over a shard of rows. Confidences are handled as the bits of
their float32, which sort as the floats do, for none is negative.

A row is labelled from its highest confidence down. At each confidence the
annotated classes come first and their ancestors next; then, round by round,
what co-occurs with the labels of the round before, and the ancestors of that.
A class is labelled once and only from labels set before it, so the chains of
the ledger end, and all ends when a round adds nothing.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import types

from beam_jobs.labels.ledger import Rule, Source

_ANNOTATED = int(Rule.ANNOTATED)
_ANCESTOR = int(Rule.ANCESTOR)
_CO_OCCURRENCE = int(Rule.CO_OCCURRENCE)
_CORRECTIONS = int(Source.CORRECTIONS)

# The float32 of 1.0, and the mask that takes -0.0 for 0.0.
_ONE = 0x3F800000
_NO_SIGN = 0x7FFFFFFF
# No class; over every index, so that any parent is lower.
_NO_PARENT = 2**31 - 1

# A label; and what is known of a class in the row at hand. Rounds are numbered
# through all rows, so a round before the row's first is one of another row.
LABEL = np.dtype(
    [
        ("id", np.int32),
        ("bits", np.uint32),
        ("parent", np.int32),
        ("rule", np.uint8),
        ("source", np.uint8),
    ],
    align=True,
)
_STATE = np.dtype(
    [
        ("round", np.int32),
        ("absent_round", np.int32),
        ("denied_round", np.int32),
        ("bits", np.uint32),
        ("parent", np.int32),
        ("rule", np.uint8),
        ("source", np.uint8),
    ],
    align=True,
)


def _array(dtype):
    # Columns that come from Arrow are read-only; others convert to it.
    return types.Array(dtype, 1, "C", readonly=True)


_INT64, _INT32 = _array(types.int64), _array(types.int32)
_UINT32, _UINT8 = _array(types.uint32), _array(types.uint8)


def _compiled(*signature):
    """Compiles a function on import, or takes it from numba's cache."""

    def decorate(function):
        try:
            return numba.njit(signature, cache=True, nogil=True)(function)
        except (RuntimeError, OSError):
            # No folder that a cache can be written to.
            return numba.njit(signature, nogil=True)(function)

    return decorate


@numba.njit
def _sort(values, count):
    """Sorts the first `count` values in place: Shell's sort, Ciura's gaps."""
    if count > 64:
        for gap in (8858, 3937, 1750, 701, 301, 132, 57, 23, 10, 4):
            for i in range(gap, count):
                value = values[i]
                while i >= gap and values[i - gap] > value:
                    values[i] = values[i - gap]
                    i -= gap
                values[i] = value
    # Most rows need no more than this, and a fixed gap makes it faster.
    for i in range(1, count):
        value = values[i]
        while i >= 1 and values[i - 1] > value:
            values[i] = values[i - 1]
            i -= 1
        values[i] = value


@numba.njit
def _reserve(array, size):
    """Returns the array with room for at least `size` values."""
    if size <= len(array):
        return array
    wider = np.empty(2 * size, array.dtype)
    # A loop, for it compiles ten times faster than a slice does.
    for i in range(len(array)):
        wider[i] = array[i]
    return wider


@numba.njit
def _appended(array, size, values, count):
    """Returns the array with some values behind its first `size`."""
    array = _reserve(array, size + count)
    for i in range(count):
        array[size + i] = values[i]
    return array


@numba.njit
def _deny(state, begin, end, ids, bits, sources, allowed, splits, below, now):
    """Marks what corrections rule out; tells whether the row has any."""
    corrected = False
    for v in range(begin, end):
        if sources[v] == _CORRECTIONS and allowed[_CORRECTIONS]:
            corrected = True
            if ids[v] >= 0 and bits[v] & _NO_SIGN == 0:
                state[ids[v]].denied_round = now
                for d in range(splits[ids[v]], splits[ids[v] + 1]):
                    state[below[d]].denied_round = now
    return corrected


@numba.njit
def _collect(state, begin, end, ids, bits, sources, allowed, limits, keys):
    """Sorts a row's positives: surest first, then by class, then source.

    A key holds 30 bits of (1 - confidence), 24 of the class, 8 of the source.
    `limits` are the least bits of a positive and the row's first round.
    """
    count, (min_bits, first) = 0, limits
    for v in range(begin, end):
        if ids[v] < 0 or (
            state[ids[v]].denied_round == first and sources[v] != _CORRECTIONS
        ):
            continue
        if min_bits <= bits[v] <= _ONE and allowed[sources[v]]:
            level = np.int64(_ONE) - np.int64(bits[v])
            keys[count] = (level << 32) | (np.int64(ids[v]) << 8) | sources[v]
            count += 1
    _sort(keys, count)
    return count


@numba.njit
def _derive(state, label, rule, parent, now):
    to, of = state[label], state[parent]
    to.round, to.rule, to.parent = now, rule, parent
    to.bits, to.source = of.bits, of.source


@numba.njit
def _add_ancestors(state, touched, begin, end, splits, values, now, first):
    """Adds what lies above the asserted classes touched[begin:end].

    `now` is this round and `first` the row's first. Returns the new number
    of classes touched.
    """
    count = end
    for t in range(begin, end):
        below = touched[t]
        if state[below].rule == _ANCESTOR:
            continue
        for v in range(splits[below], splits[below + 1]):
            above = values[v]
            known = state[above]
            if known.round < first:
                _derive(state, above, _ANCESTOR, below, now)
                touched[count] = above
                count += 1
            elif (
                known.round == now
                and known.rule == _ANCESTOR
                and below < known.parent
            ):
                _derive(state, above, _ANCESTOR, below, now)
    return count


@numba.njit
def _add_co_occurring(state, touched, begin, end, splits, values, now, first):
    """Adds what co-occurs with touched[begin:end], the round before."""
    count = end
    for t in range(begin, end):
        given = touched[t]
        for v in range(splits[given], splits[given + 1]):
            added = values[v]
            known = state[added]
            if known.denied_round == first:
                continue
            if known.round < first:
                _derive(state, added, _CO_OCCURRENCE, given, now)
                touched[count] = added
                count += 1
            elif known.round == now and given < known.parent:
                _derive(state, added, _CO_OCCURRENCE, given, now)
    return count


@numba.njit
def _demote(state, touched, begin, end, splits, values, now):
    """Hands co-occurring classes above others of the round to Rule A."""
    for t in range(begin, end):
        below = touched[t]
        for v in range(splits[below], splits[below + 1]):
            above = state[values[v]]
            if above.round == now:
                above.rule = _ANCESTOR
                above.parent = _NO_PARENT


@numba.njit
def _annotate(state, touched, count, keys, k, number, now, first):
    """Labels the annotated classes of keys[k:] that are equally sure."""
    level = keys[k] >> 32
    while k < number and keys[k] >> 32 == level:
        label = (keys[k] >> 8) & 0xFFFFFF
        to = state[label]
        if to.round < first:
            to.round, to.rule, to.parent = now, _ANNOTATED, label
            to.bits, to.source = _ONE - level, keys[k] & 0xFF
            touched[count] = label
            count += 1
        k += 1
    return count, k


@numba.njit
def _label_row(
    state, touched, keys, number, above_splits, above, pair_splits, pairs, now
):
    """Labels one row; returns the classes touched and the next free round."""
    first, count, k = now, 0, 0
    while k < number:
        start = count
        end, k = _annotate(state, touched, count, keys, k, number, now, first)
        count = _add_ancestors(
            state, touched, start, end, above_splits, above, now, first
        )
        now += 1
        while len(pairs) and start < count:
            end = _add_co_occurring(
                state, touched, start, count, pair_splits, pairs, now, first
            )
            start = count
            _demote(state, touched, start, end, above_splits, above, now)
            count = _add_ancestors(
                state, touched, start, end, above_splits, above, now, first
            )
            now += 1
    # A row without labels needs a round of its own as well.
    return count, now + 1


@numba.njit
def _write_row(state, touched, count, out, size):
    _sort(touched, count)
    for t in range(count):
        to, known = out[size + t], state[touched[t]]
        to.id, to.bits, to.parent = touched[t], known.bits, known.parent
        to.rule, to.source = known.rule, known.source


@numba.njit
def _hide(state, begin, end, annotations, min_bits, first, corrected, hidden):
    """Marks positives not visible as made; of a corrected row all it says."""
    _, ids, bits, sources = annotations
    for v in range(begin, end):
        hidden[v] = corrected and ids[v] >= 0 and bits[v] & _NO_SIGN == 0
        if ids[v] >= 0 and min_bits <= bits[v] <= _ONE:
            known = state[ids[v]]
            hidden[v] = (
                corrected
                or known.round < first
                or known.rule != _ANNOTATED
                or known.bits != bits[v]
                or known.source != sources[v]
            )


@numba.njit
def _rule_out(state, touched, count, label, first):
    known = state[label]
    if known.round < first and known.absent_round != first:
        known.absent_round = first
        touched[count] = label
        count += 1
    return count


@numba.njit
def _rule_out_row(
    state, touched, begin, end, annotations, allowed, splits, below, first
):
    """Lists the row's absent classes in `touched`; returns their number."""
    _, ids, bits, sources = annotations
    count = 0
    for v in range(begin, end):
        label = ids[v]
        if label >= 0 and bits[v] & _NO_SIGN == 0 and allowed[sources[v]]:
            count = _rule_out(state, touched, count, label, first)
            for d in range(splits[label], splits[label + 1]):
                count = _rule_out(state, touched, count, below[d], first)
    _sort(touched, count)
    return count


@_compiled(
    types.Tuple((_INT64, _INT32, _UINT32, _UINT8)),
    *(_array(types.boolean), types.int64),
    *(types.Tuple((_INT64, _INT32)),) * 3,
)
def label_rows(annotations, allowed, min_bits, above, below, pairs):
    """Labels every row: see `label_rules.LabelRules.label`.

    Args:
        annotations: the columns of `Annotations`; confidences as uint32 bits.
        allowed: bool [256], by source code.
        min_bits: bits of the least confidence of a positive.
        above: row splits and values; row i lists the ancestors of class i.
        below: likewise, its descendants.
        pairs: likewise, the classes that Rule B adds to it.

    Returns:
        row_splits and `LABEL`s, row_splits and ids of absent classes, hidden.
    """
    row_splits, ids, bits, sources = annotations
    rows, classes = len(row_splits) - 1, len(above[0]) - 1
    state, touched = np.zeros(classes, _STATE), np.empty(classes, np.int64)
    keys, hidden = np.empty(len(ids), np.int64), np.empty(len(ids), np.bool_)
    out, size = np.empty(8 * len(ids), LABEL), 0
    absent, absent_size, now = np.empty(0, np.int32), 0, 1
    splits = np.zeros(rows + 1, np.int64)
    absent_splits = np.zeros(rows + 1, np.int64)
    for r in range(rows):
        begin, end, first = row_splits[r], row_splits[r + 1], now
        corrected = _deny(
            *(state, begin, end, ids, bits, sources, allowed),
            *(below[0], below[1], first),
        )
        count = _collect(
            *(state, begin, end, ids, bits, sources, allowed),
            *((min_bits, first), keys),
        )
        count, now = _label_row(
            *(state, touched, keys, count),
            *(above[0], above[1], pairs[0], pairs[1], now),
        )
        out = _reserve(out, size + count)
        _write_row(state, touched, count, out, size)
        splits[r + 1] = size = size + count
        _hide(
            state, begin, end, annotations, min_bits, first, corrected, hidden
        )
        count = _rule_out_row(
            *(state, touched, begin, end, annotations, allowed),
            *(below[0], below[1], first),
        )
        absent = _appended(absent, absent_size, touched, count)
        absent_size += count
        absent_splits[r + 1] = absent_size
    return splits, out[:size], absent_splits, absent[:absent_size], hidden


@_compiled(_INT64, _INT32, _array(types.float32), _INT64, _INT32)
def find_unclosed(row_splits, ids, confidences, above_splits, above):
    """Returns int64 [3 n]: row, class, ancestor missing or less sure, ..."""
    classes = len(above_splits) - 1
    last_row = np.full(classes, -1, np.int64)
    known = np.empty(classes, np.float32)
    found, size = np.empty(0, np.int64), 0
    for r in range(len(row_splits) - 1):
        for v in range(row_splits[r], row_splits[r + 1]):
            last_row[ids[v]] = r
            known[ids[v]] = confidences[v]
        for v in range(row_splits[r], row_splits[r + 1]):
            for a in range(above_splits[ids[v]], above_splits[ids[v] + 1]):
                if last_row[above[a]] != r or known[above[a]] < confidences[v]:
                    found = _reserve(found, size + 3)
                    found[size] = r
                    found[size + 1] = ids[v]
                    found[size + 2] = above[a]
                    size += 3
    return found[:size]
