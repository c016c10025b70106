"""Suspects that a person went through come back as exactly the corrections that they made."""

import csv
from pathlib import Path

import pytest

from earmark.audit.auditing import SUSPECTS, audit_dataset
from earmark.audit.suspects_table import refuse_verdicts
from earmark.data.corrections import import_labels
from earmark.data.dataset import Dataset, open_dataset
from earmark.data.ontology import audioset_ontology
from earmark.data.statements import WEAK
from earmark.errors import InputError
from earmark.scores.store import ScoreStore
from tests.audit.shaky import EVENTS_S, name_of

Rows = list[dict[str, str]]


@pytest.fixture
def suspects(own_copy: tuple[Dataset, ScoreStore], tmp_path: Path) -> tuple[Dataset, Path, Rows]:
    dataset, store = own_copy
    audit_dataset(dataset, store, tmp_path / "out", layer="given", ontology=audioset_ontology(), compares_sounds=False)
    path = tmp_path / "out" / SUSPECTS
    return dataset, path, list(csv.DictReader(path.open(encoding="utf-8")))


def write(path: Path, rows: Rows) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def verdict(rows: Rows, clip: int, tag: str, word: str, line: int = 0) -> None:
    [row for row in rows if (row["clip"], row["tag"]) == (name_of(clip), tag)][line]["verdict"] = word


def labels_of(dataset: Dataset, layer: str) -> set[tuple[str, str, float, float]]:
    said = open_dataset(dataset.folder).statements(layer)
    names = dataset.column("clip")
    return {
        (names[clip], dataset.vocabulary.tags[tag], onset, offset)
        for clip, tag, onset, offset in zip(said.clip_index, said.tag_index, said.onset, said.offset, strict=True)
    }


def test_exactly_what_was_accepted_comes_back(suspects: tuple[Dataset, Path, Rows]) -> None:
    dataset, path, rows = suspects
    verdict(rows, 3, "Rain", "remove")
    verdict(rows, 7, "Dog", "keep")
    verdict(rows, 11, "Speech", " Add ")
    verdict(rows, 0, "Dog", "add")
    write(path, rows)
    summary = import_labels(dataset, path, "audited")
    assert (summary.added, summary.removed, summary.changed) == (2, 1, 0)
    before, after = labels_of(dataset, "given"), labels_of(dataset, "audited")
    assert before - after == {(name_of(3), "Rain", WEAK, WEAK)}
    assert after - before == {(name_of(11), "Speech", WEAK, WEAK), (name_of(0), "Dog", WEAK, WEAK)}


def test_an_event_is_judged_by_itself(suspects: tuple[Dataset, Path, Rows]) -> None:
    dataset, path, rows = suspects
    assert [(row["onset"], row["offset"]) for row in rows if (row["clip"], row["tag"]) == (name_of(2), "Speech")] == [
        tuple(str(time) for time in times) for times in EVENTS_S
    ]
    verdict(rows, 2, "Speech", "remove", line=1)
    verdict(rows, 2, "Speech", "keep", line=0)
    missing = next(row for row in rows if (row["clip"], row["tag"]) == (name_of(6), "Rain"))
    missing.update(verdict="add", onset="0.1", offset="0.3")
    write(path, rows)
    import_labels(dataset, path, "audited")
    before, after = labels_of(dataset, "given"), labels_of(dataset, "audited")
    assert before - after == {(name_of(2), "Speech", *EVENTS_S[1])}
    assert after - before == {(name_of(6), "Rain", 0.1, 0.3)}


def test_corrections_are_read_on_the_layer_that_was_audited(suspects: tuple[Dataset, Path, Rows]) -> None:
    dataset, path, rows = suspects
    verdict(rows, 3, "Rain", "remove")
    write(path, rows)
    import_labels(dataset, path, "first")
    verdict(rows, 3, "Rain", "")
    verdict(rows, 7, "Dog", "remove")
    write(path, rows)
    import_labels(dataset, path, "second", "first")
    gone = {(name_of(3), "Rain", WEAK, WEAK), (name_of(7), "Dog", WEAK, WEAK)}
    assert labels_of(dataset, "given") - labels_of(dataset, "second") == gone


def test_a_verdict_is_one_of_three_words(suspects: tuple[Dataset, Path, Rows]) -> None:
    dataset, path, rows = suspects
    with pytest.raises(
        InputError, match=r"no row has the verdict remove or add, and 0 of 8 say keep; there is nothing"
    ):
        import_labels(dataset, path, "audited")
    rows[3]["verdict"] = "delete"
    write(path, rows)
    with pytest.raises(InputError) as caught:
        import_labels(dataset, path, "audited")
    about = f'(clip "{rows[3]["clip"]}", tag "{rows[3]["tag"]}")'
    assert str(caught.value) == f'{path}:5: verdict must be keep, remove, add or empty, got "delete" {about}'
    # A row is named by its line, though those before it say nothing.
    rows[3]["verdict"], rows[5]["verdict"], rows[5]["tag"] = "", "add", "Brak"
    write(path, rows)
    with pytest.raises(InputError, match=r'suspects.csv:7: tag must be in the vocabulary of 4, got "Brak"'):
        import_labels(dataset, path, "audited")


def test_verdicts_are_not_written_over(suspects: tuple[Dataset, Path, Rows], own_copy, tmp_path: Path) -> None:
    dataset, path, rows = suspects
    refuse_verdicts(path)
    refuse_verdicts(path.with_name("none.csv"))
    rows[0]["verdict"] = "keep"
    write(path, rows)
    before = path.read_bytes()
    with pytest.raises(InputError, match="holds 1 verdict, which a new audit would write over; read them with"):
        audit_dataset(
            dataset, own_copy[1], tmp_path / "out", layer="given", ontology=audioset_ontology(), compares_sounds=False
        )
    assert path.read_bytes() == before
