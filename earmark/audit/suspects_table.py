"""Suspects as a CSV that a person goes through: a row a label, with an empty column for the verdict.

`verdict` takes keep, remove or add; `earmark import --labels-from` reads the rows that have one (see
`data.corrections.verdicts`).
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from earmark.audit.audited import Audited
from earmark.audit.suspects import KINDS, Suspects, remarks
from earmark.data.corrections.corrected import ranges
from earmark.data.corrections.verdicts import VERDICT
from earmark.data.statements import COUNTED, WEAK, IntArray, Statements, pairs
from earmark.data.table_files import read_table_file, write_table
from earmark.errors import InputError, counted
from earmark.files import written_aside


def suspects_table(suspects: Suspects, audited: Audited) -> pa.Table:
    """A row a suspect; of a wrong tag with events a row for each of these, with its times in the clip.

    `others` are the other tags that the clip is given.
    """
    line, events = _lines(suspects, audited)
    said = suspects.place[line], suspects.tag[line]
    clips, vocabulary = audited.dataset.clips, audited.dataset.vocabulary
    rows = audited.rows[said[0]]
    others = [
        "; ".join(tag for tag in audited.tags_of(place) if tag != vocabulary.tags[own])
        for place, own in zip(suspects.place.tolist(), suspects.tag.tolist(), strict=True)
    ]
    weak = events.onset == WEAK
    return pa.table(
        {
            "rank": line + 1,
            "clip": clips["clip"].take(pa.array(rows)),
            "tag": vocabulary.array().take(pa.array(said[1])),
            "kind": pa.array(KINDS).take(pa.array(suspects.kind[line])),
            VERDICT: pa.nulls(len(line), pa.string()),
            "suspicion": np.round(suspects.suspicion[line], 4),
            "score": np.round(suspects.score[line].astype(np.float64), 5),
            "threshold": np.round(suspects.threshold[line], 5),
            "onset": pa.array(events.onset, mask=weak),
            "offset": pa.array(events.offset, mask=weak),
            "others": pa.array(others, pa.string()).take(pa.array(line)),
            "remark": pa.array(remarks(suspects, audited), pa.string()).take(pa.array(line)),
            "path": pa.array([str(audited.dataset.audio_path(row)) for row in rows.tolist()], pa.string()),
        }
    )


def write_suspects(path: Path, table: pa.Table) -> None:
    """Writes the CSV, whole or not at all."""
    with written_aside(path) as aside:
        write_table(table, aside)


def refuse_verdicts(path: Path) -> None:
    """Raises InputError where a person's verdicts would be written over."""
    if not path.is_file():
        return
    file = read_table_file(path)
    count = len(file.text(VERDICT)) - file.text(VERDICT).null_count
    if count:
        raise InputError(
            f"{path}: holds {counted(count, 'verdict')}, which a new audit would write over; read them with `earmark "
            f"import --labels-from {path}`, and move the file or name another folder"
        )


def _lines(suspects: Suspects, audited: Audited) -> tuple[IntArray, Statements]:
    """The suspect that each row of the table is of, and what is to be judged; without times where it is weak."""
    num_tags = len(audited.dataset.vocabulary)
    said = audited.dataset.statements(audited.layer)
    said = said.at(said.value >= COUNTED)
    said_of = pairs(said, num_tags)
    pair = audited.rows[suspects.place] * num_tags + suspects.tag
    first = np.searchsorted(said_of, pair, side="left")
    count = np.searchsorted(said_of, pair, side="right") - first
    # A tag that is missing is in no statement.
    line = np.repeat(np.arange(len(pair)), np.maximum(count, 1))
    onset, offset = np.full(len(line), WEAK), np.full(len(line), WEAK)
    in_force, is_said = ranges(first[count > 0], count[count > 0]), count[line] > 0
    onset[is_said], offset[is_said] = said.onset[in_force], said.offset[in_force]
    clip, tag = audited.rows[suspects.place[line]], suspects.tag[line].astype(np.int32)
    return line, Statements(clip, tag, onset, offset, np.ones(len(line), np.float32))
