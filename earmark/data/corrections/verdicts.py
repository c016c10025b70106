"""Suspect labels that a person went through, as `earmark audit` lists them: rows with a verdict are corrections."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.table_files import TableFile, as_mask
from earmark.errors import InputError

VERDICT = "verdict"
VALUE_OF = {"remove": 0.0, "add": 1.0}
KEEP = "keep"
WORDS = (KEEP, *VALUE_OF)


def corrections_of(file: TableFile) -> TableFile:
    """The rows whose verdict is to remove or to add the label, with a `value` that says so; others say nothing.

    A table is of suspects if it has the columns `kind` and `verdict`; any other is what it was.

    Raises:
        InputError: a verdict is another word, or none of them changes anything.
    """
    if not (file.has(VERDICT) and file.has("kind")):
        return file
    verdict = pc.utf8_lower(pc.utf8_trim_whitespace(file.text(VERDICT)))
    blank = pc.fill_null(pc.equal(verdict, ""), True)
    file.refuse(
        pc.invert(pc.or_(blank, pc.is_in(verdict, pa.array(WORDS)))),
        lambda row: f'{VERDICT} must be {", ".join(WORDS)} or empty, got "{verdict[row]}"{file.naming(row)}',
    )
    changes = np.flatnonzero(as_mask(pc.is_in(verdict, pa.array(list(VALUE_OF)))))
    if not len(changes):
        kept = int(np.count_nonzero(as_mask(pc.equal(verdict, KEEP))))
        raise InputError(
            f"{file.path}: no row has the {VERDICT} {' or '.join(VALUE_OF)}, and {kept} of {file.table.num_rows} say "
            f"{KEEP}; there is nothing to correct"
        )
    some = file.at(changes)
    value = pc.equal(verdict.take(pa.array(changes)), "add").cast(pa.float64())
    return replace(some, table=some.table.drop_columns([VERDICT]).append_column("value", value))
