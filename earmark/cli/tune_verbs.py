"""The verb that chooses how a model's scores become events: tune."""

import json
import shlex
from typing import Annotated, Literal

import typer

from earmark.cli.app import DatasetFolder, Device, ModelFolder, Quiet, Verbose, Workers, app, command_word


@app.command()
def tune(
    model: ModelFolder,
    dataset: DatasetFolder,
    criterion: Annotated[
        Literal["collar", "segment", "intersection"], typer.Option(help="What counts as found; its F1 is tuned for.")
    ] = "collar",
    split: Annotated[
        str, typer.Option(metavar="[validation|train]", help="Which clips; those to be tested on are refused.")
    ] = "validation",
    labels: Annotated[str, typer.Option(metavar="LAYER", help="The label layer that has the events.")] = "given",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was chosen as JSON.")] = False,
    device: Device = "auto",
    workers: Workers = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Choose each tag's median filter and threshold for finding events, on the validation split.

    Of a few filters and of all thresholds those with the greatest F1 on its clips labelled strong. They are kept in the
    model folder (events.json) and used by evaluate --events and tag --events.

    Example: earmark tune run sounds --criterion collar
    """
    from earmark.data.dataset import open_dataset
    from earmark.environment import resolve_device
    from earmark.events.tuning import tune_model, tuning_lines

    result = tune_model(
        model,
        open_dataset(dataset),
        split=split,
        layer=labels,
        criterion=criterion,
        device=resolve_device(device),
        workers=workers,
    )
    if as_json:
        print(json.dumps(result, indent=2))
        return
    print("\n".join(tuning_lines(result)))
    print(f"next:  {command_word()} evaluate {shlex.quote(str(model))} {shlex.quote(str(dataset))} --events")
