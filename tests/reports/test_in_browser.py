"""Every kind of page in headless Chromium, and that what is wrong with a page would be seen; the colours, computed."""

import itertools
import re

import numpy as np
import pytest

from earmark.audit.auditing import PAGE, audit_dataset
from earmark.clip_figure import RATE_HZ, mp3_base64
from earmark.comparison import compare_runs
from earmark.data.ontology import audioset_ontology
from earmark.figures import ClipFigure, TableFigure
from earmark.reports.compare_page import write_compare_page
from earmark.reports.drawing import SERIES
from earmark.reports.figures_page import Section, write_figures_page
from earmark.reports.over_runs import evaluated_runs
from earmark.reports.run_page import write_run_page
from tests.audit.shaky import PLANTED, write_shaky, write_shaky_scores
from tests.conftest import REPOSITORY
from tests.made_runs import scores_for, some_truth, write_evaluated_run, write_event_evaluation
from tests.reports.browser import assert_page_works, look_at, needs_chromium
from tests.reports.conftest import TAGS, MakeRun, clip_figure


def compare_page(tmp_path, num_tags=10, num_runs=3, with_events=0):
    truth = some_truth(40, num_tags)
    tags = [f"{TAGS[k % len(TAGS)]} {k}" for k in range(num_tags)]
    runs = [
        write_evaluated_run(tmp_path / f"a-run-with-a-long-name-{k}", truth, scores_for(truth, 1 + k / 4, k), tags=tags,
                            settings={"epochs": 2 + k // 2}, seed=k, validations=(0.2, 0.5 + k / 10), resamples=50)
        for k in range(num_runs)
    ]  # fmt: skip
    for gain, run in enumerate(runs[:with_events], start=1):
        write_event_evaluation(run, gain, tags=tags, resamples=20)
    found = evaluated_runs(runs, "test", "given")
    paired = compare_runs({run.name: run.files.folder for run in found}, "test", "given")
    page = tmp_path / "compare.html"
    write_compare_page(found, page, [Section("Paired", paired.differences), Section("Gains", paired.gains)])
    return page


@needs_chromium
def test_the_page_of_a_run(make_run: MakeRun, tmp_path):
    page = write_run_page(make_run(), tmp_path / "run.html")
    assert_page_works(page, num_audio=1, least_tables=8, least_drawings=6)


@needs_chromium
def test_the_page_of_several_runs(tmp_path):
    page = compare_page(tmp_path, with_events=2)
    assert_page_works(page, least_tables=16, least_drawings=8)
    assert "No event metrics: a-run-with-a-long-name-2" in page.read_text("utf-8")


@needs_chromium
def test_the_page_of_an_audit(tmp_path):
    dataset = write_shaky(tmp_path / "shaky")
    store = write_shaky_scores(tmp_path / "scores", dataset)
    audit = audit_dataset(dataset, store, tmp_path / "audit", layer="given", ontology=audioset_ontology())
    heard = len({clip for clip, _ in PLANTED})
    assert_page_works(audit.folder / PAGE, num_audio=heard, least_tables=3, least_drawings=heard + 1)


def test_eight_runs_of_527_tags_fit_on_a_page(tmp_path):
    """How large a page is depends on runs and tags, not on clips."""
    page = compare_page(tmp_path, num_tags=527, num_runs=8)
    assert page.stat().st_size < 20e6
    text = page.read_text("utf-8")
    assert text.count('id="figure-gains-') == 14
    assert "left out" not in text


@needs_chromium
def test_a_page_of_clips(tmp_path):
    first = clip_figure(np.random.default_rng(0))
    falls_silent = np.random.default_rng(1).integers(-9000, 9000, RATE_HZ).astype(np.int16)
    falls_silent[RATE_HZ // 2 :] = 0
    changes = {"title": "Another clip", "clip": "c" * 80, "audio": mp3_base64(falls_silent)}
    second = first.model_copy(update=changes)
    sections = [Section("Clips", [("clip-1", first), ("clip-2", second)])]
    page = tmp_path / "clips.html"
    write_figures_page(page, kicker="Clips", title="Two clips", lede="To listen to.", sections=sections)
    assert_page_works(page, num_audio=2, least_tables=2, least_drawings=2)


@needs_chromium
def test_what_is_wrong_is_seen(tmp_path):
    table = TableFigure(title="t", caption="c", alt="a", columns=["n", "s"], rows=[[2.0, "b"], [None, "a"], [1.0, "c"]])
    clip = clip_figure(np.random.default_rng(0)).model_copy(update={"audio": "aGVsbG8="})
    assert isinstance(clip, ClipFigure)
    page = tmp_path / "page.html"
    figures = [("table", table), ("clip", clip)]
    write_figures_page(page, kicker="k", title="t", lede="l", sections=[Section("s", figures)])
    text = page.read_text("utf-8")
    wrong = (
        '<p style="width: 600px" id="wide">wide</p><a href="#nowhere">x</a><svg></svg><i id="wide"></i>'
        '<div style="overflow-x: auto"><p style="width: 3000px">scrolls</p></div>'
        "<script>nothingOfThisName()</script></main>"
    )
    backwards = text.replace("return down ? -order : order", "return order").replace("</main>", wrong)
    page.write_text(backwards, "utf-8")
    found, said = look_at(page, (400, 800))
    assert any("nothingOfThisName is not defined" in line for line in said)
    narrow, wide = found[400], found[800]
    assert narrow["tooWide"] == ["p#wide.null"]
    assert narrow["scrollWidth"] > 400
    assert (wide["tooWide"], wide["scrollWidth"]) == ([], 800)
    assert narrow["wordless"] == ["svg.null"]
    assert (narrow["links"], narrow["ids"]) == (["nowhere"], ["wide"])
    # The numbers of events, in no table that has two rows, stay in order.
    assert set(narrow["unsorted"]) >= {"n", "s"}
    assert "plays" not in narrow["audio"][0]["state"]


# Machado, Oliveira and Fernandes 2009, at full severity, on linear RGB.
SEEN = {
    "all colours": np.eye(3),
    "no red": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "no blue": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def linear(colour):
    """A colour's linear RGB (IEC 61966-2-1)."""
    rgb = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """WCAG 2's contrast ratio, 1 to 21."""
    dark, light = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def lab(rgb):
    """CIE L*a*b* of linear RGB, white D65."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ np.clip(rgb, 0, 1)
    ratio = xyz / [0.95047, 1, 1.08883]
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def palettes():
    """The variables of the page's style: light, and dark."""
    style = (REPOSITORY / "earmark" / "reports" / "page.css").read_text("utf-8")
    return [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in re.findall(r":root \{(.*?)\}", style, re.S)
    ]


def test_the_formulas_of_colour():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert lab(linear("#ff0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_apart_and_from_the_page(mode):
    palette = palettes()[mode]
    for name in ("ink", "quiet", "accent"):
        assert contrast(palette[name], palette["paper"]) >= 4.5, name  # WCAG 2, 1.4.3: text
    series = [palette[f"series-{k + 1}"] for k in range(len(SERIES))]
    for colour in (*series, palette["neutral"]):
        assert contrast(colour, palette["paper"]) >= 3, colour  # WCAG 2, 1.4.11: what is drawn
    for seen, matrix in SEEN.items():
        places = {colour: lab(matrix @ linear(colour)) for colour in series}
        for one, other in itertools.combinations(series, 2):
            # 2.3 is what people just see side by side; these lie apart and are thin.
            assert np.linalg.norm(places[one] - places[other]) >= 13, (seen, one, other)


def test_a_drawing_has_the_colours_of_the_light_page():
    light = palettes()[0]
    assert tuple(light[f"series-{k + 1}"] for k in range(len(SERIES))) == SERIES
