"""The verb that looks for errors in labels: audit."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earmark.cli.app import (
    Device,
    MoreSettings,
    OntologyFile,
    Quiet,
    Seed,
    Verbose,
    Workers,
    app,
    command_word,
    dataset_and_overrides,
)
from earmark.errors import InputError

if TYPE_CHECKING:
    from earmark.data.dataset import Dataset
    from earmark.scores.store import ScoreStore

# Which options train models, and so belong to an audit without scores.
FOR_TRAINING = {"folds": "--folds", "recipe": "--recipe", "preset": "--preset", "settings": "--set", "seed": "--seed",
                "device": "--device"}  # fmt: skip


@app.command()
def audit(
    context: typer.Context,
    dataset: Annotated[Path | None, typer.Argument(metavar="DATASET", help="Made by `earmark import`.")] = None,
    more_settings: MoreSettings = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="OUT", help="The folder to make.")] = None,
    scores: Annotated[
        Path | None,
        typer.Option(metavar="SCORES", help="Made by `earmark score --folds`; without it models are trained."),
    ] = None,
    labels: Annotated[str, typer.Option(metavar="LAYER", help="The label layer to audit.")] = "given",
    folds: Annotated[int, typer.Option(min=2, help="Train so many models, each without a fold; score that fold.")] = 4,
    recipe: Annotated[str, typer.Option(metavar="RECIPE", help="One of `earmark recipes`.")] = "baseline",
    preset: Annotated[str | None, typer.Option(metavar="NAME", help="Settings under a name, or a YAML file.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE ...", help="Its settings; see `earmark train RECIPE --show`."),
    ] = None,
    suspicion: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="List labels that are errors with at least this probability.")
    ] = 0.5,
    near_duplicates: Annotated[
        bool, typer.Option(help="Look for clips that are the same sound with different labels.")
    ] = True,
    ontology: OntologyFile = None,
    device: Device = "auto",
    seed: Seed = 0,
    workers: Workers = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Say which labels are likely wrong or missing, and how many.

    Trains models that each leave out a fold of the clips, and holds what they say of it against its labels. Makes a
    page to listen to and a CSV of suspects; filled in, it is read by `earmark import --labels-from`. Stopped anywhere,
    the same command goes on.

    Example: earmark audit sounds -o audit
    """
    dataset, overrides = dataset_and_overrides(dataset, settings, more_settings)
    if dataset is None or out is None:
        raise InputError("audit needs a data set and a folder: earmark audit DATASET -o OUT")
    from earmark.audit.auditing import SCORES, SUSPECTS, audit_dataset, check_audit
    from earmark.data.dataset import open_dataset
    from earmark.data.ontology import ontology_of

    opened, graph = open_dataset(dataset), ontology_of(ontology)
    check_audit(opened, labels, out)
    if scores is None:
        store = _trained(opened, out / SCORES, recipe, preset, overrides, labels, folds, device, seed, workers)
    else:
        from earmark.scores.store import open_scores

        _refuse_training(context)
        store = open_scores(scores)
    found = audit_dataset(
        opened, store, out, layer=labels, ontology=graph, least=suspicion, compares_sounds=near_duplicates,
        workers=workers,
    )  # fmt: skip
    suspects, data_word = out / SUSPECTS, shlex.quote(str(dataset))
    print("\n".join([*found.lines(), f"suspects:  {suspects}", f"page:  {out / 'audit.html'}"]))
    if not len(found.suspects):
        print("next:  look at the AUC of the tags on the page: where scores tell little, no label is suspect; lower")
        print("       --suspicion, or give better models: more epochs, or --scores")
        return
    parent = "" if labels == "given" else f" --labels {labels}"
    print("next:  listen, write keep, remove or add into the column verdict, then")
    print(
        f"       {command_word()} import {data_word} --labels-from {shlex.quote(str(suspects))} --name audited{parent}"
    )


def _trained(
    dataset: "Dataset",
    folder: Path,
    recipe: str,
    preset: str | None,
    overrides: Mapping[str, Any],
    labels: str,
    folds: int,
    device: str,
    seed: int,
    workers: int | None,
) -> "ScoreStore":
    """Scores of models trained for the audit, kept in a folder of it."""
    from earmark.environment import resolve_device
    from earmark.recipes import read_preset
    from earmark.recipes.audit_scores import scores_for_audit
    from earmark.recipes.job import Request

    request = Request(
        dataset=dataset, run=folder, layer=labels, seed=seed, device=resolve_device(device), workers=workers
    )
    settings = {**(read_preset(recipe, preset) if preset else {}), **overrides}
    return scores_for_audit(recipe, request, settings, folds)


def _refuse_training(context: typer.Context) -> None:
    """Raises InputError where options of training are given beside scores."""
    for parameter, option in FOR_TRAINING.items():
        # Compared by name: typer's own copy of click has its own class of sources.
        if getattr(context.get_parameter_source(parameter), "name", "") == "COMMANDLINE":
            raise InputError(f"{option} is for models that an audit trains; leave it out, or leave --scores out")
