"""An audit from scores to page: its files agree, and it is quick."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from earmark.audit.auditing import PAGE, SUSPECTS, Audit, audit_dataset, check_audit
from earmark.audit.listening import MOST_CLIPS, clips_to_hear
from earmark.audit.noise import estimate_noise
from earmark.audit.suspicion import fit_odds
from earmark.data.dataset import Dataset, write_dataset, write_layer
from earmark.data.layers import GIVEN, read_layer
from earmark.data.ontology import audioset_ontology
from earmark.data.tables import LABEL_SCHEMA, columns_or_null
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError
from earmark.figures import ClipFigure, read_figure
from earmark.scores.index import index_of_clips
from earmark.scores.store import ScoreStore
from earmark.scores.writing import write_scores
from tests.audit.shaky import PLANTED, TAGS, name_of
from tests.reports.test_run_page import Outline, words


@pytest.fixture(scope="module")
def audit(shaky: Dataset, shaky_scores: ScoreStore, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    out = tmp_path_factory.mktemp("audit") / "out"
    return audit_dataset(shaky, shaky_scores, out, layer="given", ontology=audioset_ontology())


@pytest.fixture(scope="module")
def tables(audit: Audit) -> dict[str, dict]:
    told = json.loads((audit.folder / "audit.json").read_text("utf-8"))
    return {table["name"]: table for part in told["parts"] for table in part["tables"]}


@pytest.fixture(scope="module")
def rows(audit: Audit) -> list[dict[str, str]]:
    return list(csv.DictReader((audit.folder / SUSPECTS).open(encoding="utf-8")))


def test_the_csv_holds_a_row_a_label_to_judge(audit: Audit, rows: list[dict[str, str]], shaky: Dataset) -> None:
    # The wrong label of a strong clip has two events.
    assert len(rows) == len(PLANTED) + 1 + 2
    ranks = [int(row["rank"]) for row in rows]
    assert ranks == sorted(ranks)
    assert sorted(set(ranks)) == list(range(1, len(audit.suspects) + 1))
    planted = {(int(row["clip"].split()[1]), row["tag"]): row["kind"] for row in rows if row["kind"] != "implied"}
    assert planted == PLANTED
    for row in rows:
        assert row["verdict"] == ""
        assert 0.5 <= float(row["suspicion"]) <= 1
        assert (float(row["score"]) < float(row["threshold"])) == (row["kind"] == "wrong")
        assert Path(row["path"]).is_file()
    assert next(row["others"] for row in rows if row["clip"] == name_of(3)) == "Speech"


def test_page_json_and_markdown_say_the_same(
    audit: Audit, tables: dict[str, dict], rows: list[dict[str, str]], shaky: Dataset
) -> None:
    page, markdown = ((audit.folder / name).read_text("utf-8") for name in (PAGE, "audit.md"))
    outline = Outline(page)
    assert outline.open == []
    said = words(outline)
    for name, table in tables.items():
        if not name.startswith("clip-"):
            assert read_figure(audit.folder / "audit-figures" / f"{name}.json").title == table["title"]
        assert table["title"] in said
        assert table["title"] in markdown
    overview = {row[0]: row[1:] for row in tables["overview"]["rows"]}
    assert overview["suspects: wrong"][0] == len({row["rank"] for row in rows if row["kind"] == "wrong"}) == 3
    wrong = overview["share of labels that are wrong, estimated"]
    estimated = audit.noise.all_wrong
    assert wrong == pytest.approx([estimated.value[0], estimated.low[0], estimated.high[0]], abs=1e-6)
    assert f"{wrong[0]:.3f}" in said
    assert f"| {wrong[0]:.3f} |" in markdown
    by_tag = {row[0]: row[1:] for row in tables["noise-by-tag"]["rows"]}
    assert list(by_tag) == list(TAGS)
    for place, tag in enumerate(TAGS):
        assert by_tag[tag][0] == audit.noise.labels[place]
        assert by_tag[tag][2] == pytest.approx(audit.noise.wrong.value[place], abs=1e-6)
    shown = [dict(zip(tables["suspects"]["columns"], row, strict=True)) for row in tables["suspects"]["rows"]]
    assert len(shown) == len(rows)
    for one, row in zip(shown, rows, strict=True):
        assert (one["clip"], one["tag"], one["kind"], one["rank"]) == (
            row["clip"],
            row["tag"],
            row["kind"],
            int(row["rank"]),
        )
        assert (one["suspicion"], one["score"]) == (float(row["suspicion"]), float(row["score"]))


def test_the_page_stands_alone_and_plays(audit: Audit) -> None:
    page = (audit.folder / PAGE).read_text("utf-8")
    assert page.count("<audio") == len({place for place, _ in PLANTED})
    for reference in ("http://", "https://"):
        assert f'src="{reference}' not in page
        assert f'href="{reference}' not in page
    assert len(page) < 20e6


def test_the_most_suspect_clips_are_heard_first(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    figures, unread = clips_to_hear(audit.suspects, audit.audited)
    assert unread == []
    first = int(audit.suspects.place[0])
    assert figures[0][1].clip == name_of(first)
    assert figures[0][1].title.startswith(f'1. "{TAGS[audit.suspects.tag[0]]}" ')
    strong = next(figure for _, figure in figures if figure.clip == name_of(2))
    assert isinstance(strong, ClipFigure)
    assert {event.tag for event in strong.reference} == {"Rain", "Speech"}
    assert len(figures) <= MOST_CLIPS
    monkeypatch.setattr("earmark.audit.listening.MOST_CLIPS", 2)
    assert [name for name, _ in clips_to_hear(audit.suspects, audit.audited)[0]] == ["clip-1", "clip-2"]


def test_a_recording_that_is_gone_is_named(own_copy: tuple[Dataset, ScoreStore], tmp_path: Path) -> None:
    dataset, store = own_copy
    (dataset.audio_root / "3.wav").unlink()
    audit = audit_dataset(
        dataset, store, tmp_path / "out", layer="given", ontology=audioset_ontology(), compares_sounds=False
    )
    page = (audit.folder / PAGE).read_text("utf-8")
    assert page.count("<audio") == len({place for place, _ in PLANTED}) - 1
    assert "the clip cannot be shown" in page


def test_what_was_found_in_lines(audit: Audit) -> None:
    lines = audit.lines()
    assert [line.split()[0] for line in lines] == ["labels", "wrong", "missing", "suspects", "the"]
    assert lines[3].endswith("3 wrong, 2 missing, 2 implied")
    assert "not told" not in "".join(lines)


def test_a_folder_of_something_else_is_refused(shaky: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="must be a folder, found a file"):
        check_audit(shaky, "given", tmp_path / "file")
    with pytest.raises(InputError, match="must be a new or an empty folder, it holds file; name another"):
        check_audit(shaky, "given", tmp_path)
    check_audit(shaky, "given", tmp_path / "new")


def test_the_truth_is_not_audited(own_copy: tuple[Dataset, ScoreStore], tmp_path: Path) -> None:
    dataset, store = own_copy
    write_layer(dataset, "truth", columns_or_null(0, LABEL_SCHEMA), role="truth")
    for layer, said in (
        ("truth", 'label layer "truth" is the truth about planted faults; audit the layer that has the faults'),
        ("other", 'there is no label layer "other"'),
    ):
        with pytest.raises(InputError, match=said):
            audit_dataset(dataset, store, tmp_path / "out", layer=layer, ontology=audioset_ontology())


def test_one_tag_without_suspects_gives_a_page(tmp_path: Path, shaky: Dataset) -> None:
    given = read_layer(shaky.folder, GIVEN, shaky.clips, shaky.vocabulary)
    one = write_dataset(
        tmp_path / "set",
        name="one",
        clips=shaky.clips,
        labels=given.filter(pc.equal(given["tag"], "Speech")),
        vocabulary=Vocabulary(("Speech",)),
        audio_root=shaky.audio_root,
    )
    rows = np.arange(one.num_clips)
    right = np.where(one.labels().rows(rows) > 0, 0.9, 0.1).astype(np.float32)
    told = {"model": "right", "dataset": one.digest, "out_of_fold": True}
    store = write_scores(tmp_path / "scores", index_of_clips(one, rows, rows), ["Speech"], told, right.__getitem__)
    audit = audit_dataset(one, store, tmp_path / "out", layer="given", ontology=audioset_ontology())
    assert len(audit.suspects) == 0
    assert audit.lines()[3].endswith("0 wrong, 0 missing, 0 implied")
    said = words(Outline((tmp_path / "out" / PAGE).read_text("utf-8")))
    assert "No label is suspect." in said
    assert "None found among 59 clips." in said
    assert len((tmp_path / "out" / SUSPECTS).read_text().splitlines()) == 1


def test_as_many_steps_for_many_clips_as_for_few() -> None:
    """No loop of Python's is over clips and tags: with eight times the clips, hardly more is called."""

    def calls(num_clips: int) -> int:
        rng = np.random.default_rng(0)
        given = rng.random((num_clips, 8)) < 0.2
        scores = np.clip(0.5 * given + rng.random(given.shape) / 2, 0, 1).astype(np.float32)
        judged, counted = np.ones_like(given), 0

        def count(*_: object) -> None:
            nonlocal counted
            counted += 1

        sys.setprofile(count)
        try:
            noise = estimate_noise(given, judged, scores, np.arange(num_clips), resamples=3)
            fit_odds(given, judged, scores, noise.wrong_rate, noise.missing_rate).of_error(given, scores)
        finally:
            sys.setprofile(None)
        return counted

    calls(500)
    assert calls(4000) < 1.5 * calls(500)
