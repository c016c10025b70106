"""Labels that people have corrected, read back as a layer of source `human`.

A source says either all labels of each clip that it names (what is in force of those clips and not in it is removed; a
row without a tag, or an empty track, leaves a clip without labels), or, if it is a table with a column `value`, one
correction a row: 1 adds the label, 0 removes it, and a 0 without times removes all of the tag. The suspects of an audit
are such corrections where they have a verdict. Times within half a millisecond of those in force are the same; the
layer holds differences only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from earmark.data import layers
from earmark.data.corrections.corrected import Corrected
from earmark.data.corrections.difference import Difference, difference
from earmark.data.corrections.tables import read_table
from earmark.data.corrections.tracks import read_tracks
from earmark.data.dataset import Dataset, write_layer
from earmark.data.formats.beside import is_text_file
from earmark.data.statements import WEAK, Statements
from earmark.data.tables import LABEL_SCHEMA
from earmark.errors import InputError, counted, first_few

__all__ = ["CorrectionSummary", "import_labels"]

SOURCE = "human"


@dataclass(frozen=True)
class CorrectionSummary:
    """What came of corrected labels.

    Attributes:
        named: clips of the data set that the source says something of, out of `clips`.
        added, removed, changed, unchanged: statements, against those in force in the parent for the clips named.
        unknown: names that fit no clip; nothing is taken from their rows.
    """

    layer: str
    parent: str
    source: str
    clips: int
    named: int
    added: int
    removed: int
    changed: int
    unchanged: int
    unknown: tuple[str, ...]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """A table of name and number, then what should be known."""
        rows = [
            ("named", self.named, f"clips of {self.clips}"),
            ("added", self.added, "labels"),
            ("removed", self.removed, ""),
            ("changed", self.changed, "to value 1" if self.changed else ""),
            ("unchanged", self.unchanged, ""),
            *([("unknown", len(self.unknown), f"names: {first_few(self.unknown)}")] if self.unknown else []),
        ]
        figures = max(len(str(number)) for _, number, _ in rows)
        return [
            f'label layer "{self.layer}" on "{self.parent}": {self.source}',
            *(f"{name:<9}  {number:>{figures}}  {remark}".rstrip() for name, number, remark in rows),
            *(f"note: {note}" for note in self.notes),
        ]


def import_labels(dataset: Dataset, source: Path, name: str, parent: str = layers.GIVEN) -> CorrectionSummary:
    """Writes the layer `name` on `parent` that makes the labels in force those that a source says.

    Args:
        source: a table (.csv, .tsv, .parquet), an Audacity label track or a Raven selection table (.txt), or a folder
            of the latter two.

    Raises:
        InputError: the source does not hold, names no clip that is known, or says nothing new; the name is taken, or
            there is no such parent.
    """
    if not source.exists():
        raise InputError(f"{source}: there is no such file or folder")
    layers.check_new(dataset.folder, name, parent)
    before = dataset.statements(parent)
    is_tracks = source.is_dir() or is_text_file(source.name)
    corrected = read_tracks(dataset, source) if is_tracks else read_table(dataset, source)
    found = difference(before, corrected, len(dataset.vocabulary))
    if not len(found.layer):
        why = "; ".join([*_why_nothing(corrected, found), *corrected.notes])
        raise InputError(
            f'{source}: says nothing of {counted(len(corrected.named), "clip")} that is not in force in "{parent}"; '
            f"no layer is written{f' ({why})' if why else ''}"
        )
    table = _label_table(dataset, found.layer)
    write_layer(dataset, name, table, parent, written_by=f"earmark import --labels-from {source}")
    return CorrectionSummary(
        layer=name,
        parent=parent,
        source=str(source),
        clips=dataset.num_clips,
        named=len(corrected.named),
        added=found.added,
        removed=found.removed,
        changed=found.changed,
        unchanged=found.unchanged,
        unknown=corrected.unknown,
        notes=tuple(_notes(dataset, corrected, found)),
    )


def _label_table(dataset: Dataset, layer: Statements) -> pa.Table:
    columns = {
        "clip": dataset.clips["clip"].combine_chunks().take(pa.array(layer.clip_index)),
        "tag": dataset.vocabulary.array().take(pa.array(layer.tag_index)),
        "onset": pa.array(layer.onset, mask=layer.onset == WEAK),
        "offset": pa.array(layer.offset, mask=layer.onset == WEAK),
        "value": pa.array(layer.value),
        "source": pa.repeat(SOURCE, len(layer)),
    }
    return pa.table(columns, schema=LABEL_SCHEMA)


def _notes(dataset: Dataset, corrected: Corrected, found: Difference) -> Iterator[str]:
    if corrected.is_complete:
        yield "the source says all labels of each clip that it names: others in force of those clips are removed"
    else:
        yield "each row is one correction (column value): 1 adds a label, 0 removes it, nothing else changes"
    if not corrected.has_times:
        yield "the source has no times: events in force of a tag that it names stay as they are"
    if found.idle:
        yield _idle_note(found)
    unlabelled = int((dataset.column("labelled")[corrected.named] == "none").sum()) if len(corrected.named) else 0
    if unlabelled:
        yield f"{unlabelled} of the clips are labelled none in the clip table, so that no layer counts for them"
    yield from corrected.notes


def _why_nothing(corrected: Corrected, found: Difference) -> Iterator[str]:
    holds = int((corrected.said.value == 1).sum())
    if holds:
        yield f"in force already: {counted(holds, 'label')}"
    if found.idle:
        yield _idle_note(found)


def _idle_note(found: Difference) -> str:
    return f"corrections of value 0 that nothing in force fits: {found.idle}"
