"""Verbs that show what is there as pages: coverage, compare."""

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from earmark.cli.app import DatasetFolder, Quiet, Verbose, app, command_word, refuse_twice
from earmark.errors import InputError

Page = Annotated[Path, typer.Option("-o", "--out", metavar="PAGE", help="The HTML file to write.")]


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
    print("\n".join([*coverage_lines(table), f"page:  {out}", f"data:  {folder}"]))
    best = next((store for store in stores if store.about.get("out_of_fold")), stores[0])
    data_word, store_word = shlex.quote(str(dataset)), shlex.quote(str(best.folder))
    print(f"next:  {command_word()} train psl {data_word} --teacher {store_word} -o RUN")


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

    Average precision by tag and learning curves, mean and deviation over the runs: give runs that differ in their seed.
    Correlations of average precision between the runs, which may be of any kind. The figures are written beside the
    page as data.

    Example: earmark compare run1 run2 run3 -o compare.html
    """
    _check_page(out)
    from earmark.reports.compare_page import write_compare_page

    folder = write_compare_page(runs, out, split, labels)
    print(f"page:  {out}")
    print(f"data:  {folder}")
