"""A run's page says what the run's files say, whatever is missing, odd or broken among them."""

import html.parser
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from earmark.errors import InputError
from earmark.figures import TableFigure, write_figure
from earmark.reports import figures_page, run_page
from earmark.reports.run_page import write_run_page

MakeRun = Callable[..., Path]
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Outline(html.parser.HTMLParser):
    """The elements of a page, and whether each that is opened is closed in its place."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th", "dd", "dt", "li"):
            self.words += " "

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.seen if name == tag]


def page_of(run: Path, tmp_path: Path) -> tuple[str, Outline]:
    page = write_run_page(run, tmp_path / "page.html").read_text("utf-8")
    outline = Outline(page)
    assert outline.open == []
    return page, outline


def words(outline: Outline) -> str:
    return " ".join(outline.words.split())


def row_of(page: str, tag: str) -> list[float | None]:
    """The whole values in a tag's row of the table per tag."""
    table = page[page.index('class="sortable full per-tag"') :]
    row = table[table.index(f'<td class="name">{tag}</td>') :].split("</tr>")[0]
    return [float(value) if value else None for value in re.findall(r'data-value="([^"]*)"', row)]


def test_numbers_on_the_page_are_those_in_the_files(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    page, outline = page_of(run, tmp_path)
    test = json.loads((run / "evaluation" / "test.json").read_text("utf-8"))
    for result in test["per_tag"]:
        names = ("training_clips", "positives", "average_precision", "low", "high", "roc_auc", "threshold", "f1")
        assert row_of(page, result["tag"]) == [result[name] for name in names]
    for metric in test["metrics"].values():
        assert f'data-value="{metric["value"]}">{metric["value"]:.3f}' in page
    assert '<span class="big">0.914</span>' in page
    assert "95 % interval 0.869 to 0.950" in words(outline)
    assert "trained by the recipe baseline on 1,288 clips of esc10, for 10 tags" in words(outline)
    assert "training 10 min 30 s" in words(outline)
    assert "scoring test 3.9 s clips a second, scoring 276" in words(outline)


def test_test_split_makes_the_headline_and_another_split_is_flagged(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    assert "mAP on test" in words(page_of(run, tmp_path)[1])
    (run / "evaluation" / "test.json").unlink()
    said = words(page_of(run, tmp_path)[1])
    assert "mAP on validation" in said
    assert "This number is on validation, not on test" in said


def test_page_needs_nothing_but_itself(make_run: MakeRun, tmp_path: Path) -> None:
    page, outline = page_of(make_run(), tmp_path)
    for tag, attributes in outline.seen:
        for name in ("src", "href", "xlink:href", "data", "srcset", "poster", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    assert not outline.all("link")
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    assert "default-src 'none'" in page
    anchors = {attributes["href"] for attributes in outline.all("a")}
    ids = {f"#{attributes['id']}" for _, attributes in outline.seen if "id" in attributes}
    assert anchors <= ids


def test_problems_are_named_by_kind_what_was_left_out_first(make_run: MakeRun, tmp_path: Path) -> None:
    said = words(page_of(make_run(), tmp_path)[1])
    assert "truncated: 8 clips, left out" in said
    assert "001 - Dog bark/7.ogg ends after 2.31 of 5.00 s" in said
    assert said.index("truncated: 8") < said.index("silent: 1 clip, kept")
    assert "left out 8" in said
    assert "recipe baseline dataset esc10 labels given" in said
    assert "init" not in said


def test_many_problems_are_counted_and_the_first_named(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    data = json.loads((run / "data.json").read_text("utf-8"))
    entry = {"clip": "", "kind": "missing", "outcome": "left out", "detail": ""}
    data["problems"] = [{"path": f"{i}.wav"} | entry for i in range(run_page.MOST_NAMES + 3)]
    (run / "data.json").write_text(json.dumps(data), "utf-8")
    said = words(page_of(run, tmp_path)[1])
    assert "missing: 203 clips, left out" in said
    assert "and 3 more, all named in data.json" in said


def test_settings_that_differ_come_first(make_run: MakeRun, tmp_path: Path) -> None:
    said = words(page_of(make_run(), tmp_path)[1])
    settings = said[said.index("Differs from the default") :]
    assert "epochs 20 60" in settings
    assert "mixup_rate 0.5 null" in settings
    assert settings.index("mixup_rate") < settings.index("The other 3 settings") < settings.index("batch_size 32")


def test_plain_settings_are_shown_without_a_claim_about_defaults(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    (run / "settings.json").write_text('{"epochs": 3, "fit": {"batch_size": 8}}', "utf-8")
    said = words(page_of(run, tmp_path)[1])
    assert "All 2 settings epochs 3 fit.batch_size 8" in said
    assert "default" not in said


def test_one_tag(make_run: MakeRun, tmp_path: Path) -> None:
    page, outline = page_of(make_run(["Only tag"]), tmp_path)
    assert "for 1 tag." in words(outline)
    assert len(row_of(page, "Only tag")) == 8


def test_527_tags_stay_far_below_20_megabytes(make_run: MakeRun, tmp_path: Path) -> None:
    tags = [f"Tag {i}, of the long list" for i in range(527)]
    page, _ = page_of(make_run(tags), tmp_path)
    assert len(page.encode()) < 3_000_000
    assert all(row_of(page, tag) for tag in tags[::100])
    assert "Tag: 527, in the order given" in page


def test_tags_without_positives_come_last_with_a_dash(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(["A", "B"])
    path = run / "evaluation" / "test.json"
    test = json.loads(path.read_text("utf-8"))
    test["per_tag"][0] |= {"positives": 0, "average_precision": None, "low": None, "high": None, "roc_auc": None}
    test["per_tag"][0] |= {"training_clips": 3, "threshold": 0.5, "f1": None}
    test["left_out_tags"] = ["A"]
    path.write_text(json.dumps(test), "utf-8")
    page, outline = page_of(run, tmp_path)
    assert row_of(page, "A") == [3, 0, None, None, None, None, 0.5, None]
    table = page[page.index("per-tag") :]
    assert table.index('"name">B<') < table.index('"name">A<')
    assert "Not in the means, for lack of a positive clip: A." in words(outline)


def test_interrupted_run_says_what_is_not_there_yet(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(name="stopped")
    for part in ("evaluation", "figures", "model"):
        shutil.rmtree(run / part)
    lines = (run / "metrics.jsonl").read_text("utf-8").splitlines()
    (run / "metrics.jsonl").write_text("\n".join([*lines[:3], lines[3][:40]]), "utf-8")
    said = words(page_of(run, tmp_path)[1])
    assert "This run has no evaluation yet" in said
    assert "3 lines of progress so far, the last of epoch 3" in said
    assert "metrics.jsonl:4 is left out: cut short, as a killed run leaves it" in said
    assert "An audio tagger being trained" in said
    assert "There is no model yet" in said


def test_run_that_has_just_begun(tmp_path: Path) -> None:
    run = tmp_path / "begun"
    run.mkdir()
    (run / "settings.json").write_text("{}", "utf-8")
    said = words(page_of(run, tmp_path)[1])
    assert "No epoch has been finished" in said
    assert "The run has not said yet which clips it uses" in said
    assert "The run holds no environment.json" in said


def test_weird_tag_name_stays_a_name(make_run: MakeRun, tmp_path: Path) -> None:
    weird = ["<script>alert(1)</script>", "$x^{ & \"a\" 'b'", "</style></table>", "--> {{ 7 * 7 }} 雨", "ordinary"]
    _, outline = page_of(make_run(weird, name="<i>run & co"), tmp_path)
    said = words(outline)
    assert all(tag in said for tag in weird)
    assert len(outline.all("script")) == 1
    assert not outline.all("i") or all("style" in attributes for attributes in outline.all("i"))
    assert "'" + str(tmp_path / "<i>run & co") + "'" in said


def test_broken_files_give_one_clear_line_each(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    (run / "figures" / "cut.json").write_text('{"kind": "bar"', "utf-8")
    (run / "figures" / "unknown.json").write_text('{"kind": "pie"}', "utf-8")
    (run / "figures" / "fields.json").write_text('{"kind": "table", "title": "T"}', "utf-8")
    clip = json.loads((run / "figures" / "clip_hard.json").read_text("utf-8"))
    (run / "figures" / "ragged.json").write_text(json.dumps(clip | {"log_mel": [[1], [1, 2]]}), "utf-8")
    (run / "data.json").write_bytes(b"\xff\xfe")
    (run / "evaluation" / "other.json").write_text('{"split": "other"}', "utf-8")
    page, outline = page_of(run, tmp_path)
    said = words(outline)
    assert "figures/cut.json cannot be shown: not JSON: Expecting ',' delimiter: line 1 column 15" in said
    assert "figures/unknown.json cannot be shown: Input tag 'pie' found" in said
    assert "figures/fields.json cannot be shown: " in said
    assert "figures/ragged.json cannot be shown: log_mel must have rows of one length" in said
    assert "data.json cannot be read: " in said
    assert "evaluation/other.json cannot be read: num_clips: must be there (and 1 more)" in said
    assert 'id="figure-clip_hard"' in page
    assert '<span class="big">0.914</span>' in page


def test_figures_past_the_size_of_a_page_are_named(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures_page, "MOST_FIGURE_BYTES", 110_000)
    page, outline = page_of(make_run(), tmp_path)
    assert "figures/clip_hard.json is left out, because the page would grow past 20 MB" in words(outline)
    assert 'id="figure-table"' in page


def test_a_page_holds_at_most_40_sounds(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    clip = (run / "figures" / "clip_hard.json").read_text("utf-8")
    for number in range(40):
        (run / "figures" / f"a{number:02d}.json").write_text(clip, "utf-8")
    _, outline = page_of(run, tmp_path)
    assert len(outline.all("audio")) == 40
    assert "figures/clip_hard.json is left out, because a page has at most 40 sounds" in words(outline)


def test_figures_stand_under_their_headings_in_their_places(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    for name, section, place in (("b", "Part 2", 5), ("a", "Part 2", 6), ("c", "Part 1", 4)):
        figure = TableFigure(title=name, caption="", alt="", columns=["x"], rows=[], section=section, place=place)
        write_figure(run / "figures", name, figure)
    (run / "figures" / "broken.json").write_text("{", "utf-8")
    page, outline = page_of(run, tmp_path)
    order = [page.index(word) for word in ("<h2>Part 1<", "<h2>Part 2<", 'id="figure-b"', 'id="figure-a"')]
    others = [page.index(word) for word in ("<h2>Other figures<", "figures/broken.json cannot be shown")]
    assert order + others == sorted(order + others)
    assert "Per tag Part 1 Part 2 Other figures Settings" in words(outline)


def test_where_thresholds_are_from_is_said(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(["A", "B"])
    best = "F1 is at each tag’s threshold with the best F1 on validation (320 clips"
    assert f"{best}); at .5 for 1 without a positive clip there." in words(page_of(run, tmp_path)[1])
    path = run / "evaluation" / "test.json"
    test = json.loads(path.read_text("utf-8"))

    def said(**changes: object) -> str:
        path.write_text(json.dumps(test | changes), "utf-8")
        return words(page_of(run, tmp_path)[1])

    assert f"{best}, labels given)" in said(labels="truth")
    assert "F1 is at a score of .5: there are no validation clips" in said(thresholds=None)
    (run / "evaluation" / "test.json").unlink()
    assert f"{best}), these very clips, so it flatters" in words(page_of(run, tmp_path)[1])


def test_an_evaluation_of_an_earlier_version_has_no_thresholds(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(["A"])
    path = run / "evaluation" / "test.json"
    test = json.loads(path.read_text("utf-8"))
    del test["thresholds"], test["per_tag"][0]["threshold"], test["per_tag"][0]["f1"]
    del test["per_tag"][0]["training_clips"]
    path.write_text(json.dumps(test), "utf-8")
    page, outline = page_of(run, tmp_path)
    assert row_of(page, "A")[-2:] == [None, None]
    assert "F1 is at" not in words(outline)


def test_the_numbers_beside_are_those_of_the_files(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    page_of(run, tmp_path)
    beside = json.loads((tmp_path / "page.json").read_text("utf-8"))
    tables = {table["name"]: table for part in beside["parts"] for table in part["tables"]}
    test = json.loads((run / "evaluation" / "test.json").read_text("utf-8"))
    per_tag = tables["per-tag"]
    keys = [name.replace(" ", "_") for name in per_tag["columns"]]
    assert [dict(zip(keys, row, strict=True)) for row in per_tag["rows"]] == sorted(
        ({key: row[key] for key in keys} for row in test["per_tag"]), key=lambda row: -row["average_precision"]
    )
    values = [[metric["value"], metric["low"], metric["high"]] for metric in test["metrics"].values()]
    assert [row[1:] for row in tables["metrics-test-given"]["rows"]] == values
    assert [part["heading"] for part in beside["parts"]] == ["Metrics", "Per tag", "Learning curves", "Figures"]
    assert tables["tag_counts"]["rows"]
    assert "| mAP | 0.914 |" in (tmp_path / "page.md").read_text("utf-8")


def test_numbers_are_not_written_over_a_file_of_the_run(make_run: MakeRun) -> None:
    run = make_run()
    with pytest.raises(InputError, match=r"settings.html: its numbers would be written over settings.json of the run"):
        write_run_page(run, run / "settings.html")
    assert json.loads((run / "settings.json").read_text("utf-8"))["recipe"] == "baseline"


def test_epochs_that_begin_again_are_drawn_by_step(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    lines = [{"epoch": 1, "step": 10, "train_loss": 0.5}, {"epoch": 1, "step": 20, "train_loss": 0.25}]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    page, outline = page_of(run, tmp_path)
    assert "Loss by step: Over 2 lines of metrics.jsonl: train from 0.5 to 0.25." in page
    assert "Metrics on validation" not in words(outline)


def test_same_files_give_the_same_bytes(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    first = write_run_page(run, tmp_path / "a.html").read_bytes()
    assert write_run_page(run, tmp_path / "b.html").read_bytes() == first


@pytest.mark.parametrize(("name", "reason"), [("nothing", "there is no such folder"), ("empty", "it has neither")])
def test_folder_that_is_no_run_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=f"{name} is not a run folder: {reason}"):
        write_run_page(tmp_path / name, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_without_the_extra_the_message_names_it() -> None:
    code = "import sys; sys.modules['jinja2'] = None; import earmark.reports.run_page"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last == "earmark.errors.InputError: reports need jinja2; pip install 'earmark[report]'"
