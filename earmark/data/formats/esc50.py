"""ESC-50: `meta/esc50.csv` lists the files of `audio/` with their class, official fold and source recording.

ESC-10 as a tree of class folders is read by `folder`.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.formats.file_lists import FileList, file_names, imported_lists
from earmark.data.formats.imported import Imported
from earmark.data.formats.layout_tables import ListKind, ListLayout, find_lists, holds_list
from earmark.data.table_files import TableFile
from earmark.data.vocabulary import Vocabulary

_CLIPS = ListKind("esc50", ("esc50.csv",), ("filename", "fold", "category"), ("audio",))
_LAYOUT = ListLayout("esc50", (_CLIPS,), ("meta",))


def is_at(source: Path) -> bool:
    """Whether the source is, or holds, `esc50.csv` with the columns filename, fold and category."""
    return holds_list(source, _LAYOUT)


def read(source: Path) -> Imported:
    """The clips of ESC-50, each with one tag, its official fold and the recording that it was cut from as group.

    Raises:
        InputError: the table is not there, or a cell does not hold; with file and line.
    """
    file = find_lists(source, _LAYOUT)[_CLIPS]
    columns = {
        "name": file_names(file, "filename"),
        "tag": file.required_text("category"),
        "fold": file.integers("fold"),
        "group": file.text("src_file"),
    }
    clips = FileList(_CLIPS, file.path, pa.table(columns))
    vocabulary, note = _vocabulary(file)
    notes = ["folds are the official ones; groups are source recordings (src_file)", note]
    return imported_lists(source, _LAYOUT, [clips], vocabulary, notes)


def _vocabulary(file: TableFile) -> tuple[Vocabulary | None, str]:
    """The categories in the order of their targets, None where those do not number them; and what to say of it."""
    pairs = pa.table({"tag": file.required_text("category"), "target": file.integers("target")})
    pairs = pairs.group_by(["tag", "target"]).aggregate([]).sort_by("target")
    distinct = {pc.count_distinct(pairs[name]).as_py() for name in pairs.column_names}
    if distinct != {pairs.num_rows} or pairs["target"].null_count:
        return None, "targets do not number the categories one by one: tags are sorted"
    return Vocabulary(tuple(pairs["tag"].to_pylist())), "tags are in the order of the column target"
