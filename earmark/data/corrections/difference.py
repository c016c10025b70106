"""The layer that turns the labels in force into what corrected labels say."""

from dataclasses import dataclass, replace

import numpy as np

from earmark.data.corrections.corrected import TOLERANCE_S, Corrected, ranges
from earmark.data.statements import WEAK, BoolArray, IntArray, Statements, joined, pairs

_STEPS_PER_S = 1_000_000
_TOLERANCE_STEPS = round(TOLERANCE_S * _STEPS_PER_S)


@dataclass(frozen=True, eq=False)
class Difference:
    """What a layer has to say, and how many statements it adds to, removes from and changes in those in force.

    Attributes:
        layer: statements; value 0 removes.
        unchanged: statements in force of the clips named that stay as they are.
        idle: corrections of value 0 that nothing in force fits.
    """

    layer: Statements
    added: int
    removed: int
    changed: int
    unchanged: int
    idle: int


def difference(before: Statements, corrected: Corrected, num_tags: int) -> Difference:
    """The difference between the statements in force and what corrected labels make of them.

    Args:
        before: in force, in the order of `in_force`.
    """
    holds = corrected.said.at(corrected.said.value == 1)
    goes = corrected.said.at(corrected.said.value == 0)
    match = _matches if corrected.has_times else _matches_by_tag
    confirmed, is_known = match(before, holds, num_tags)
    is_named = np.isin(before.clip_index, corrected.named)
    idle = np.zeros(0, np.bool_)
    if corrected.is_complete:
        removed = is_named & ~confirmed
    else:
        gone, fits = _retracted(before, goes, num_tags)
        removed, idle = gone & ~confirmed, ~fits
    changed = confirmed & (before.value < 1)
    if not corrected.has_times:
        # A tag without times says nothing of how sure each event is.
        changed &= before.onset == WEAK
    added = holds.at(~is_known)
    kept = ~removed & ~changed
    pair = pairs(before, num_tags)
    # A weak 0 retracts the whole tag, so what stays of it is said again.
    restated = kept & np.isin(pair, pair[removed & (before.onset == WEAK)])
    parts = [_of_value(before.at(removed), 0), _of_value(before.at(changed), 1), before.at(restated), added]
    return Difference(
        joined(parts),
        added=len(added),
        removed=int(removed.sum()),
        changed=int(changed.sum()),
        unchanged=int((kept & is_named).sum()),
        idle=int(idle.sum()),
    )


def _matches(before: Statements, said: Statements, num_tags: int) -> tuple[BoolArray, BoolArray]:
    """Which statements in force are said, and which of those said are in force, times within the tolerance."""
    confirmed, is_known = np.zeros(len(before), np.bool_), np.zeros(len(said), np.bool_)
    row_before, row_said = _near(before, said, num_tags)
    confirmed[row_before] = True
    is_known[row_said] = True
    return confirmed, is_known


def _matches_by_tag(before: Statements, said: Statements, num_tags: int) -> tuple[BoolArray, BoolArray]:
    """The same where those said have no times: a tag stands for all that is in force of it."""
    pair, pair_said = pairs(before, num_tags), pairs(said, num_tags)
    confirmed = np.isin(pair, pair_said)
    return confirmed, np.isin(pair_said, pair[(before.value == 1) | (before.onset == WEAK)])


def _retracted(before: Statements, goes: Statements, num_tags: int) -> tuple[BoolArray, BoolArray]:
    """Which statements in force those of value 0 remove (a weak one all of its tag), and which of the latter do."""
    gone, fits = _matches(before, goes, num_tags)
    is_weak = goes.onset == WEAK
    pair, pair_gone = pairs(before, num_tags), pairs(goes, num_tags)
    return gone | np.isin(pair, pair_gone[is_weak]), fits | (is_weak & np.isin(pair_gone, pair))


def _near(before: Statements, said: Statements, num_tags: int) -> tuple[IntArray, IntArray]:
    """All pairs of rows about the same clip and tag whose onsets and offsets are within the tolerance."""
    pair = np.concatenate([pairs(before, num_tags), pairs(said, num_tags)])
    times = np.concatenate([[before.onset, before.offset], [said.onset, said.offset]], axis=1)
    steps = np.round(times * _STEPS_PER_S).astype(np.int64)
    # One number for pair and onset, in its order; neighbouring pairs are farther apart than the tolerance.
    code = np.unique(pair, return_inverse=True)[1].reshape(-1).astype(np.int64)
    onset, offset = steps - steps.min(initial=0)
    key = code * (int(onset.max(initial=0)) + 2 * _TOLERANCE_STEPS + 1) + onset
    num_before = len(before)
    order = np.argsort(key[:num_before], kind="stable")
    ordered, wanted = key[:num_before][order], key[num_before:]
    first = np.searchsorted(ordered, wanted - _TOLERANCE_STEPS, side="left")
    count = np.searchsorted(ordered, wanted + _TOLERANCE_STEPS, side="right") - first
    row_said, row_before = np.repeat(np.arange(len(said)), count), order[ranges(first, count)]
    fits = np.abs(offset[:num_before][row_before] - offset[num_before:][row_said]) <= _TOLERANCE_STEPS
    return row_before[fits], row_said[fits]


def _of_value(statements: Statements, value: float) -> Statements:
    return replace(statements, value=np.full(len(statements), value, np.float32))
