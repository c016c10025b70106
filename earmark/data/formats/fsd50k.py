"""FSD50K: `dev.csv` and `eval.csv` list Freesound ids with their tags, ancestors included; `vocabulary.csv` the tags.

Source: E. Fonseca et al., "FSD50K: an open dataset of human-labeled sound events", and the data set's README. Every
label was confirmed by people, so every clip is verified; labels of the development set may still lack a tag.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.formats.file_lists import FileList, file_names, imported_lists, vocabulary_beside
from earmark.data.formats.imported import Imported, without_suffix
from earmark.data.formats.layout_tables import ListKind, ListLayout, find_lists, holds_list
from earmark.data.table_files import TableFile

_DEV = ListKind(
    "dev", ("dev.csv",), ("fname", "labels", "mids", "split"), ("FSD50K.dev_audio", "dev_audio", "clips/dev")
)
_EVAL = ListKind("eval", ("eval.csv",), ("fname", "labels", "mids"), ("FSD50K.eval_audio", "eval_audio", "clips/eval"))
_LAYOUT = ListLayout("fsd50k", (_DEV, _EVAL), ("FSD50K.ground_truth", "labels"))
_CLIP_INFO = ("FSD50K.metadata/*_clips_info_FSD50K.json", "metadata/*_clips_info_FSD50K.json")


def is_at(source: Path) -> bool:
    """Whether the source is, or holds, `dev.csv` or `eval.csv` with the columns fname, labels and mids."""
    return holds_list(source, _LAYOUT)


def read(source: Path) -> Imported:
    """The clips of FSD50K: train and validation of the development set, test of the evaluation set.

    Raises:
        InputError: no table of the layout is there, or a cell does not hold; with file and line.
    """
    lists = [_file_list(kind, file) for kind, file in find_lists(source, _LAYOUT).items()]
    vocabulary, note = vocabulary_beside(lists[0].path, "index,tag,mid")
    notes = [
        note,
        "splits are the official ones: of dev.csv train and validation (val), of eval.csv test",
        "verified: all labels were confirmed by people; those of dev.csv are correct but may lack a tag",
    ]
    if any(next(source.glob(pattern), None) for pattern in _CLIP_INFO):
        notes.append("groups are Freesound ids; the uploaders in FSD50K.metadata are not read")
    return imported_lists(source, _LAYOUT, lists, vocabulary, notes)


def _file_list(kind: ListKind, file: TableFile) -> FileList:
    names = file_names(file, "fname")
    if kind is _DEV:
        said = file.words("split", ("train", "val"), required=True)
        split = pc.if_else(pc.equal(said, "val"), "validation", said)
    else:
        split = pa.repeat("test", len(names))
    columns = {
        "name": names,
        "tags": file.text("labels"),
        "split": split,
        "group": pa.array([without_suffix(name) for name in names.to_pylist()], pa.string()),
        "verified": pa.repeat(True, len(names)),
    }
    return FileList(kind, file.path, pa.table(columns))
