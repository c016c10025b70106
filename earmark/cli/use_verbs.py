"""Verbs that use what was trained: evaluate, tag, report."""

import json
import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from earmark.cli.app import (
    LEFT_OUT,
    DatasetFolder,
    Device,
    ModelFolder,
    Quiet,
    Seed,
    Verbose,
    Workers,
    app,
    command_word,
)
from earmark.errors import InputError


@app.command()
def evaluate(
    model: ModelFolder,
    dataset: DatasetFolder,
    split: Annotated[Literal["train", "validation", "test", "all"], typer.Option(help="Which clips.")] = "test",
    labels: Annotated[str, typer.Option(metavar="LAYER", help="The label layer taken for the truth.")] = "given",
    as_json: Annotated[bool, typer.Option("--json", help="Print the evaluation as JSON.")] = False,
    device: Device = "auto",
    seed: Seed = 0,
    workers: Workers = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Score a model on a split, with 95 % intervals.

    The splits are those the model was trained with. A run folder keeps the result in evaluation/SPLIT.json.

    Example: earmark evaluate run sounds --split test
    """
    from earmark.data.dataset import open_dataset
    from earmark.environment import resolve_device
    from earmark.evaluation import evaluate_model
    from earmark.evaluation_summary import summary_lines

    result = evaluate_model(
        model,
        open_dataset(dataset),
        split=split,
        layer=labels,
        device=resolve_device(device),
        seed=seed,
        workers=workers,
    )
    print(json.dumps(result, indent=2) if as_json else "\n".join(summary_lines(result)))


@app.command()
def tag(
    model: ModelFolder,
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, folders, or - for a list on stdin.")],
    output_format: Annotated[
        Literal["table", "jsonl", "csv"], typer.Option("--format", help="How the tags are printed.")
    ] = "table",
    top_k: Annotated[int, typer.Option(min=1, help="At most so many tags.")] = 5,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Only scores of at least this.")] = 0.0,
    embeddings: Annotated[Path | None, typer.Option(metavar="OUT.npz", help="Keep embeddings here.")] = None,
    device: Device = "auto",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Tag recordings, best tags first.

    Recordings over 30 s are tagged in windows: a line a window with its onset and offset in seconds, then a line with
    the maxima over the recording. A file that cannot be read is named and passed over (exit code 3).

    Example: earmark tag run recordings/ --format csv --threshold .3 > tags.csv
    """
    from earmark import load_tagger
    from earmark.tagging import Unreadable, find_recordings, write_embeddings
    from earmark.tagging_output import PRINTERS

    if embeddings is not None and not embeddings.parent.is_dir():
        raise InputError(f"--embeddings must name a file in a folder that is there; {embeddings.parent} is none")
    tagger = load_tagger(model, device)
    recordings = find_recordings(paths)
    printer = PRINTERS[output_format](top_k, threshold)
    kept, failed = [], 0
    if printer.header:
        print(printer.header)
    for result in tagger.tag(recordings):
        if isinstance(result, Unreadable):
            failed += 1
            typer.echo(f"earmark: {result.path}: {result.problem}", err=True)
            continue
        for line in printer.lines(result, tagger.tags):
            print(line, flush=True)
        if embeddings is not None and result.onset is None:
            kept.append((result.path, result.embedding))
    if embeddings is not None:
        write_embeddings(embeddings, kept)
    if failed:
        typer.echo(f"earmark: {failed} of {len(recordings)} recordings could not be read", err=True)
        raise typer.Exit(LEFT_OUT)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="The page; default RUN/report.html.")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the page of a run, one HTML file.

    Example: earmark report run
    """
    from earmark.evaluation_summary import headline
    from earmark.reports.run_page import write_run_page

    page = write_run_page(run, out or run / "report.html")
    print(f"model: {run / 'model'}")
    print(f"page:  {page}")
    for line in headline(run):
        print(line)
    word = command_word()
    print(f"next:  {word} tag {shlex.quote(str(run))} YOUR_RECORDINGS/")
    print(f"       {word} import YOUR_FOLDER_OF_CLASS_FOLDERS -o sounds && {word} train baseline sounds -o my_run")
