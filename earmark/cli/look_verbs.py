"""Verbs that show what is there, on pages: diff, coverage, compare."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from earmark.cli.app import DatasetFolder, Quiet, Verbose, app, command_word, refuse_twice
from earmark.errors import InputError

if TYPE_CHECKING:
    from earmark.data.dataset import Dataset

Page = Annotated[Path, typer.Option("-o", "--out", metavar="PAGE", help="The HTML file to write.")]


@app.command()
def diff(
    dataset: DatasetFolder,
    layer: Annotated[
        str, typer.Argument(metavar="LAYER", help="A label layer; alone, it is compared with the one it builds on.")
    ],
    other: Annotated[
        str | None, typer.Argument(metavar="LAYER", help="The label layer to compare with it.", show_default=False)
    ] = None,
    rows: Annotated[int, typer.Option(min=0, help="How many of the differing labels to print.")] = 10,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="PAGE", help="An HTML file to write, with sounds.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the draw of clips to listen to; default: 0.", show_default=False)
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """What one label layer says differently from another.

    With -o as a page: what was added, removed, changed and left in total and by tag, tags per clip, coverage, and clips
    of each kind of change to look at and listen to. Where a layer holds the truth about planted faults, precision and
    recall of both. The numbers are written beside the page as JSON and Markdown.

    Example: earmark diff sounds given corrected

    Example: earmark diff sounds enhanced -o enhanced.html
    """
    if out is not None:
        _check_page(out)
    elif seed is not None:
        raise InputError("--seed is read with -o PAGE only")
    from earmark.data.dataset import open_dataset
    from earmark.data.info import describe_diff
    from earmark.data.layer_diff import diff_layers
    from earmark.data.layers import parent_of

    opened = open_dataset(dataset)
    before, after = (parent_of(opened.folder, layer), layer) if other is None else (layer, other)
    lines = describe_diff(diff_layers(opened, before, after), rows)
    if out is not None:
        lines += _written(out, _write_diff_page(out, opened, before, after, seed or 0))
    print("\n".join(lines))


def _write_diff_page(out: Path, dataset: "Dataset", before: str, after: str, seed: int) -> Path:
    from earmark.labels.compared import compare_layers
    from earmark.labels.examples import examples
    from earmark.labels.figures import change_figures, clip_figures
    from earmark.labels.truth_figures import truth_figures
    from earmark.reports.figures_page import Section, write_figures_page

    compared = compare_layers(dataset, before, after)
    figures = {
        "Changes": change_figures(compared),
        "Right and wrong": truth_figures(compared),
        "Tags per clip": clip_figures(compared),
    }
    sections = [Section(heading, list(some.items())) for heading, some in figures.items() if some]
    for one in examples(compared, seed):
        sections.append(Section(f"{one.kind.capitalize()}, to listen to", one.figures, one.words, one.lines))
    return write_figures_page(
        out,
        kicker="Labels",
        title=f"{dataset.name}, {before} → {after}",
        lede=f"What label layer {after} says differently from layer {before}.",
        sections=sections,
    )


@app.command()
def coverage(
    dataset: DatasetFolder,
    scores: Annotated[list[Path], typer.Argument(metavar="SCORES...", help="Made by `earmark score --chunk-s`.")],
    out: Page,
    labels: Annotated[str, typer.Option(metavar="LAYER", help="The label layer to look beside.")] = "given",
    threshold: Annotated[float, typer.Option(min=0, max=1, help="A score of at least this makes a tag.")] = 0.5,
    clip: Annotated[str | None, typer.Option(metavar="NAME", help="A clip to show, with its chunks' scores.")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """What the scores of chunks say of clips, beside their labels.

    Tags per clip, the share of the given tags that the chunks hold, clips left without a tag; a line for each store of
    scores, say of chunks of 2, 5 and 10 s. The figures are written beside the page as data.

    Example: earmark coverage sounds scores2 scores5 -o coverage.html
    """
    _check_page(out)
    refuse_twice(scores, "each store of scores must be given once, or it stands twice in the figures")
    from earmark.data.dataset import open_dataset
    from earmark.figures import TableFigure
    from earmark.relabel.chunk_curves import chunk_clip_figures
    from earmark.relabel.chunk_figures import coverage_figures, coverage_lines
    from earmark.reports.figures_page import Section, write_figures_page
    from earmark.scores.store import open_scores

    opened, stores = open_dataset(dataset), [open_scores(folder) for folder in scores]
    # First, because a name that is not known is seen at once, and all the scores are not.
    shown = [] if clip is None else chunk_clip_figures(opened, stores, clip, labels, threshold)
    figures = coverage_figures(opened, stores, labels, threshold)
    for store in stores:
        store.warn_of_another_clip_table(opened)
    sections = [Section("Coverage", list(figures.items()))]
    if shown:
        sections.append(Section(f"Clip {clip}", [(f"clip-{place}", one) for place, one in enumerate(shown, start=1)]))
    folder = write_figures_page(
        out,
        kicker="Pseudo strong labels",
        title=opened.name,
        lede="What the scores of short chunks say of clips, beside the labels that the clips have.",
        sections=sections,
    )
    table = figures["coverage"]
    assert isinstance(table, TableFigure)
    print("\n".join([*coverage_lines(table), *_written(out, folder)]))
    best = next((store for store in stores if store.about.get("out_of_fold")), stores[0])
    data_word, store_word = shlex.quote(str(dataset)), shlex.quote(str(best.folder))
    print(f"next:  {command_word()} train psl {data_word} --teacher {store_word} -o RUN")


def _written(out: Path, folder: Path) -> list[str]:
    """Lines on a page, and on its figures and numbers beside it."""
    return [f"page:  {out}", f"data:  {folder}, {out.with_suffix('.json').name}, {out.with_suffix('.md').name}"]


def _check_page(out: Path) -> None:
    """Raises InputError unless a page can be written there; said before anything is read."""
    if out.is_dir():
        raise InputError(f"{out}: must be the HTML file to write, this is a folder; name a file such as {out}.html")
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{out}: must be the HTML file to write, its name ends in .html; name {out}.html")


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, evaluated on the same clips.")],
    out: Page,
    split: Annotated[Literal["train", "validation", "test", "all"], typer.Option(help="Which clips.")] = "test",
    labels: Annotated[str, typer.Option(metavar="LAYER", help="The label layer evaluated against.")] = "given",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the page of several runs, evaluated on the same clips.

    Metrics with intervals, those of events too where runs were evaluated with --events, and their differences: each run
    against the first one (of at most four runs every pair), over the same resamples of the clips, for each tag too.
    Settings that differ beside the metrics; learning curves, with runs that differ in their seed alone as one band. The
    numbers are written beside the page as JSON and Markdown.

    Example: earmark compare run1 run2 run3 -o compare.html
    """
    _check_page(out)
    from earmark.comparison import compare_runs
    from earmark.reports.compare_page import write_compare_page
    from earmark.reports.figures_page import Section
    from earmark.reports.over_runs import evaluated_runs

    found = evaluated_runs(runs, split, labels)
    paired = compare_runs({run.name: run.files.folder for run in found}, split, labels)
    sections = [
        Section("Paired differences", paired.differences, lines=paired.lines),
        Section("Gains by tag", paired.gains),
    ]
    folder = write_compare_page(found, out, [section for section in sections if section.figures or section.lines])
    print("\n".join(_written(out, folder)))
