"""A Hugging Face data set in the layout `audiofolder`: `SPLIT/metadata.jsonl` beside the audio, and a card.

`load_dataset("audiofolder", data_dir=OUT)` reads it. A line a clip: `file_name`, `clip`, `labels` (tags), `labelled`,
and where the data set has them `events` (`tag`, `onset`, `offset` in seconds from the clip's start), `fold`, `group`,
`verified`. JSON does not tell of what type an empty list or a null is, and the loader wants one type in all splits:
where a split has, say, no event at all but another has, `metadata.parquet` is written instead.
Source: https://huggingface.co/docs/datasets/audio_load
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from earmark.data.exporting.content import Content, in_shared_groups, losses
from earmark.data.exporting.file_names import clip_file_names
from earmark.data.exporting.placing import Audio, clip_files, cut_note
from earmark.data.exporting.summary import Written
from earmark.data.statements import IntArray
from earmark.data.tables import CLIP_SPLITS
from earmark.errors import counted

NO_SPLIT = "train"
SCHEMA = pa.schema(
    {
        "file_name": pa.string(),
        "clip": pa.string(),
        "labels": pa.list_(pa.string()),
        "events": pa.list_(pa.struct({"tag": pa.string(), "onset": pa.float64(), "offset": pa.float64()})),
        "labelled": pa.string(),
        "fold": pa.int64(),
        "group": pa.string(),
        "verified": pa.bool_(),
    }
)
_MEANING = {
    "labels": "the tags of the clip",
    "events": "those with times, in seconds from the clip's start",
    "labelled": "what annotators were asked for: tags with times (strong), tags (weak) or nothing (none)",
    "group": "clips of one group come from one recording",
    "verified": "whether people checked the labels",
}
_CARD_TYPES = {"string": "string", "int64": "int64", "bool": "bool", "double": "float64"}


def write(content: Content, audio: Audio) -> Written:
    """Places the audio of the clips and writes the metadata of every split, and the card."""
    names = clip_file_names(content)
    splits = [split or NO_SPLIT for split in content.column("split")]
    targets = [f"{split}/{name}" for split, name in zip(splits, names, strict=True)]
    placed, problems = audio.place(clip_files(content, targets))
    content = content.at(placed)
    names, split = [names[index] for index in placed], np.array(splits, object)[placed]
    rows = _rows(content, names)
    tables = {name: rows.filter(pa.array(split == name)) for name in CLIP_SPLITS if (split == name).any()}
    is_json = all(_tells_types(table, rows) for table in tables.values())
    for name, table in tables.items():
        folder = audio.folder / name
        folder.mkdir(exist_ok=True)
        (_write_json_lines if is_json else _write_parquet)(table, folder)
    card = _card(content, rows.schema, list(tables))
    (audio.folder / "README.md").write_text(card, "utf-8", newline="\n")
    return Written(
        clips=content.num_clips,
        labels=len(content.tags_of_clips()[0]),
        events=int(content.is_strong.sum()),
        tables=len(tables),
        files=content.num_clips,
        cut=content.num_stretches,
        problems=problems,
        losses=tuple(losses(content, {"split", "fold", "group", "verified"})),
        notes=(*_notes(content, audio, is_json), *cut_note(content, audio)),
    )


def _rows(content: Content, names: Sequence[str]) -> pa.Table:
    """A row a clip; the columns that the data set has nothing for are not there."""
    columns: dict[str, Any] = {
        "file_name": names,
        "clip": content.column("clip"),
        "labels": _labels(content),
        "labelled": content.column("labelled"),
    }
    if content.is_strong.any():
        columns["events"] = _events(content)
    clips = content.dataset.clips.take(pa.array(content.rows))
    if clips["fold"].null_count < len(clips):
        columns["fold"] = clips["fold"]
    if in_shared_groups(content).any() or (content.column("group") != content.column("path")).any():
        columns["group"] = clips["group"]
    if clips["verified"].null_count < len(clips):
        columns["verified"] = clips["verified"]
    schema = pa.schema([field for field in SCHEMA if field.name in columns])
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _labels(content: Content) -> pa.Array:
    clip, tag = content.tags_of_clips()
    named = content.dataset.vocabulary.array().take(pa.array(tag))
    return pa.ListArray.from_arrays(_ends(clip, content.num_clips), named)


def _events(content: Content) -> pa.Array:
    said = content.statements.at(content.is_strong)
    order = np.lexsort((said.offset, said.onset, said.clip_index))
    said = said.at(order)
    named = content.dataset.vocabulary.array().take(pa.array(said.tag_index))
    fields = SCHEMA.field("events").type.value_type
    events = pa.StructArray.from_arrays([named, pa.array(said.onset), pa.array(said.offset)], fields=list(fields))
    return pa.ListArray.from_arrays(_ends(said.clip_index, content.num_clips), events)


def _ends(clip: IntArray, num_clips: int) -> pa.Array:
    return pa.array(np.searchsorted(clip, np.arange(num_clips + 1)).astype(np.int32))


def _tells_types(table: pa.Table, everything: pa.Table) -> bool:
    """Whether JSON lines of a split show the type of every column that any split shows."""
    return all(len(_first_told(table, name)) == len(_first_told(everything, name)) for name in table.column_names)


def _first_told(table: pa.Table, name: str) -> list[int]:
    """The first row that shows a column's type, if any does: not null, and not an empty list."""
    column = table[name]
    shows = pc.greater(pc.list_value_length(column), 0) if pa.types.is_list(column.type) else None
    told = np.asarray(column.is_valid() if shows is None else shows, dtype=np.bool_)
    return [int(told.argmax())] if told.any() else []


def _write_json_lines(table: pa.Table, folder: Path) -> None:
    # The loader takes the types of a long table from its first lines.
    first = sorted({row for name in table.column_names for row in _first_told(table, name)})
    order = np.concatenate([first, np.setdiff1d(np.arange(len(table)), first)]).astype(np.int64)
    with (folder / "metadata.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for batch in table.take(pa.array(order)).to_batches(max_chunksize=10_000):
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in batch.to_pylist())


def _write_parquet(table: pa.Table, folder: Path) -> None:
    pa.parquet.write_table(table, folder / "metadata.parquet")


def _card(content: Content, schema: pa.Schema, splits: Sequence[str]) -> str:
    """The card of the data set: its features and splits in YAML, and what they mean."""
    name = content.dataset.name
    files = [line for split in splits for line in (f"  - split: {split}", f"    path: {split}/**")]
    told = ["  - name: audio", "    dtype: audio"]
    for field in list(schema)[1:]:
        told += _feature(field)
    head = [
        "---",
        f"pretty_name: {json.dumps(name, ensure_ascii=False)}",
        "task_categories:",
        "- audio-classification",
        "configs:",
        "- config_name: default",
        "  data_files:",
        *files,
        "dataset_info:",
        "  features:",
        *told,
        "---",
    ]
    return "\n".join([*head, "", f"# {name}", "", *_card_text(content, schema)]) + "\n"


def _feature(field: pa.Field) -> list[str]:
    """A column as the card's YAML tells it."""
    if not pa.types.is_list(field.type):
        return [f"  - name: {field.name}", f"    dtype: {_CARD_TYPES[str(field.type)]}"]
    inside = field.type.value_type
    if not pa.types.is_struct(inside):
        return [f"  - name: {field.name}", f"    list: {_CARD_TYPES[str(inside)]}"]
    told = [
        line for part in inside for line in (f"    - name: {part.name}", f"      dtype: {_CARD_TYPES[str(part.type)]}")
    ]
    return [f"  - name: {field.name}", "    list:", *told]


def _card_text(content: Content, schema: pa.Schema) -> Iterator[str]:
    yield f"{content.num_clips} clips, {len(content.dataset.vocabulary)} tags. Written by earmark."
    yield ""
    for name in schema.names:
        if name in _MEANING:
            yield f"- `{name}`: {_MEANING[name]}"


def _notes(content: Content, audio: Audio, is_json: bool) -> Iterator[str]:
    no_split = sum(split is None for split in content.column("split"))
    if no_split:
        yield f"{counted(no_split, 'clip')} without a split: in {NO_SPLIT}"
    if not is_json:
        yield "metadata.parquet instead of metadata.jsonl: a split has nothing in a column that another split fills"
    if audio.how == "none":
        yield "loading the data set needs the audio beside the metadata"
