"""Verbs that handle data: import, pack, info, diff."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from earmark.cli.app import LEFT_OUT, DatasetFolder, Quiet, Verbose, Workers, app


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A tree of class folders, or a CSV of path,tags.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DATASET", help="The data set folder to make.")],
    layout: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="folder or csv; found by looking if left out.")
    ] = None,
    tables: Annotated[Literal["parquet", "csv"], typer.Option(help="How the tables are stored.")] = "parquet",
    workers: Workers = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make a data set of recordings with labels.

    Writes tables only, the audio stays where it is. Looks at every file and prints what it found and what is wrong
    (exit code 3 if files were left out).

    Example: earmark import recordings/ -o sounds
    """
    from earmark.data.importing import import_dataset

    summary = import_dataset(source, out, layout, tables, workers)
    print("\n".join(summary.lines()))
    if summary.left_out:
        raise typer.Exit(LEFT_OUT)


@app.command()
def pack(
    dataset: DatasetFolder,
    rate_hz: Annotated[int, typer.Option(min=1000, help="The sample rate; a model reads the pack of its own.")] = 16000,
    workers: Workers = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Decode a data set once, for fast reading.

    Training does it when first needed, too. Checks what is there and makes what is not whole; killed anywhere, the
    same command goes on.

    Example: earmark pack sounds --rate-hz 16000
    """
    from earmark.data.dataset import open_dataset
    from earmark.data.info import problem_lines
    from earmark.data.packs import open_pack

    made = open_pack(open_dataset(dataset), rate_hz, workers=workers, verify=True)
    left_out = [problem for problem in made.problems if problem.outcome == "left out"]
    hours = int(made.num_samples.sum()) / rate_hz / 3600
    print(f"{made.folder}: {int((made.num_samples > 0).sum())} clips, {hours:.2f} h at {rate_hz} Hz")
    for line in problem_lines(made.problems):
        typer.echo(line, err=True)
    if left_out:
        raise typer.Exit(LEFT_OUT)


@app.command()
def info(dataset: DatasetFolder, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """What a data set holds.

    Clips, splits, tags by label layer, packs, and what is wrong with files.

    Example: earmark info sounds
    """
    from earmark.data.dataset import open_dataset
    from earmark.data.info import describe_dataset

    print("\n".join(describe_dataset(open_dataset(dataset))))


@app.command()
def diff(
    dataset: DatasetFolder,
    before: Annotated[str, typer.Argument(metavar="LAYER", help="A label layer.")],
    after: Annotated[str, typer.Argument(metavar="LAYER", help="The label layer to compare with it.")],
    rows: Annotated[int, typer.Option(min=0, help="How many of the differing labels to print.")] = 10,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """What one label layer says differently from another.

    Example: earmark diff sounds given corrected
    """
    from earmark.data.dataset import open_dataset
    from earmark.data.info import describe_diff
    from earmark.data.layer_diff import diff_layers

    print("\n".join(describe_diff(diff_layers(open_dataset(dataset), before, after), rows)))
