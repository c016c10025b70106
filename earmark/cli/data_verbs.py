"""Verbs that handle data: import, export, pack, info."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from earmark.cli.app import LEFT_OUT, DatasetFolder, Quiet, Verbose, Workers, app
from earmark.errors import InputError

LAYOUTS = (
    "audioset, audioset-strong, fsd50k, fsdkaggle2018, fsdkaggle2019, esc50, desed, psla-json, raven, audacity, "
    "folder, csv"
)
# Which options of import belong to one of its two uses only.
FOR_RECORDINGS = {"out": "-o", "layout": "--format", "clip_s": "--clip-s", "hop_s": "--hop-s", "tables": "--tables",
                  "workers": "--workers"}  # fmt: skip
FOR_LABELS = {"name": "--name", "parent": "--labels"}


@app.command("import")
def import_(
    context: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE|DATASET", help="A folder or table in a published layout; with --labels-from, a data set."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DATASET", help="The data set folder to make.")
    ] = None,
    layout: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help=f"Found by looking if left out: {LAYOUTS}.")
    ] = None,
    clip_s: Annotated[
        float | None, typer.Option(help="Cut what is longer into clips of this length.", metavar="SECONDS")
    ] = None,
    hop_s: Annotated[
        float | None, typer.Option(help="From one clip's onset to the next; default: --clip-s.", metavar="SECONDS")
    ] = None,
    labels_from: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read corrected labels (CSV, Audacity, Raven) as a layer of a data set."),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="LAYER", help="The layer that --labels-from makes.")] = None,
    parent: Annotated[
        str, typer.Option("--labels", metavar="LAYER", help="The layer that --labels-from corrects.")
    ] = "given",
    tables: Annotated[Literal["parquet", "csv"], typer.Option(help="How the tables are stored.")] = "parquet",
    workers: Workers = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make a data set of recordings with labels, or a label layer of corrected labels.

    Writes tables only, the audio stays where it is. Looks at every file and prints what it found and what is wrong
    (exit code 3 if files were left out, or corrected labels name clips that are not known).

    Example: earmark import recordings/ -o sounds

    Example: earmark import --labels-from corrected.csv --name corrected sounds
    """
    if labels_from is None:
        _refuse_given(context, FOR_LABELS, "goes with --labels-from FILE")
        if out is None:
            raise InputError("import needs a folder for the data set that it makes; add -o DATASET")
        _import_recordings(source, out, layout, tables, workers, clip_s, hop_s)
        return
    _refuse_given(context, FOR_RECORDINGS, "does not go with --labels-from, which adds a layer to a data set")
    if name is None:
        raise InputError("--labels-from needs a name for the layer that it makes; add --name LAYER")
    _import_labels(source, labels_from, name, parent)


def _refuse_given(context: typer.Context, options: Mapping[str, str], why: str) -> None:
    for parameter, option in options.items():
        # Compared by name: typer's own copy of click has its own class of sources.
        if getattr(context.get_parameter_source(parameter), "name", "") == "COMMANDLINE":
            raise InputError(f"{option} {why}; leave it out, or see earmark import --help")


def _import_recordings(
    source: Path,
    out: Path,
    layout: str | None,
    tables: str,
    workers: int | None,
    clip_s: float | None,
    hop_s: float | None,
) -> None:
    from earmark.data.importing import import_dataset

    summary = import_dataset(source, out, layout, tables, workers, clip_s, hop_s)
    print("\n".join(summary.lines()))
    if summary.left_out:
        raise typer.Exit(LEFT_OUT)


def _import_labels(dataset: Path, source: Path, name: str, parent: str) -> None:
    from earmark.data.corrections import import_labels
    from earmark.data.dataset import open_dataset

    summary = import_labels(open_dataset(dataset), source, name, parent)
    print("\n".join(summary.lines()))
    if summary.unknown:
        raise typer.Exit(LEFT_OUT)


@app.command()
def export(
    dataset: DatasetFolder,
    layout: Annotated[
        str, typer.Option("--format", metavar="NAME", help="dcase, audioset, audacity, raven or hf (Hugging Face).")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="The folder to make.")],
    labels: Annotated[str, typer.Option(metavar="LAYER", help="The label layer to write.")] = "given",
    audio: Annotated[
        Literal["link", "copy", "none"], typer.Option(help="Links to the recordings, copies of them, or tables only.")
    ] = "link",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a data set in a layout that other programs read.

    Prints what was written, and what the layout cannot hold (exit code 3 if recordings were left out).

    Example: earmark export sounds --format audacity -o tracks
    """
    from earmark.data.dataset import open_dataset
    from earmark.data.exporting import export_dataset

    summary = export_dataset(open_dataset(dataset), layout, out, labels, audio)
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
