"""Verbs that train: recipes, train."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from earmark.cli.app import (
    Device,
    MoreSettings,
    Overrides,
    Quiet,
    Seed,
    Show,
    Verbose,
    Workers,
    app,
    command_word,
    dataset_and_overrides,
    show_settings,
)
from earmark.errors import InputError


@app.command()
def recipes(quiet: Quiet = False, verbose: Verbose = False) -> None:
    """The recipes there are.

    Example: earmark recipes
    """
    from earmark.recipes import RECIPES, preset_names

    for recipe in RECIPES.values():
        print(f"{recipe.name:<12} {recipe.summary}")
        if preset_names(recipe.name):
            print(f"{'':<12} presets: {', '.join(preset_names(recipe.name))}")
    print("\nSettings of one: earmark train RECIPE --show")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="One of `earmark recipes`.")],
    dataset: Annotated[Path | None, typer.Argument(metavar="DATASET", help="Made by `earmark import`.")] = None,
    more_settings: MoreSettings = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="RUN", help="The run folder to make.")] = None,
    labels: Annotated[str, typer.Option(metavar="LAYER", help="The label layer to learn from.")] = "given",
    test_fold: Annotated[int | None, typer.Option(help="The fold that is the test split.")] = None,
    validation_fold: Annotated[int | None, typer.Option(help="The fold that is the validation split.")] = None,
    folds: Annotated[
        int | None,
        typer.Option(min=2, help="Train so many models, each validated on another part of the clips; use their mean."),
    ] = None,
    init: Annotated[Path | None, typer.Option(metavar="MODEL", help="Fine-tune this model.")] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(metavar="MODEL|SCORES", help="psl: a model, or chunk scores; without it one is trained first."),
    ] = None,
    tag_map: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help="Which of the teacher's tags stand for which.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Settings under a name, or a YAML file; see `earmark recipes`.")
    ] = None,
    settings: Overrides = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
    profile: Annotated[
        bool,
        typer.Option("--profile", help="Only time some steps: print where their time goes; no run is made."),
    ] = False,
    show: Show = False,
    device: Device = "auto",
    seed: Seed = 0,
    workers: Workers = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a tagger by a recipe.

    Example: earmark train baseline sounds -o run --test-fold 5 --validation-fold 4 --set epochs=20
    """
    from earmark.recipes import find_recipe, read_preset

    chosen = find_recipe(recipe)
    dataset, asked = dataset_and_overrides(dataset, settings, more_settings)
    overrides = {**(read_preset(recipe, preset) if preset else {}), **asked}
    if show:
        show_settings(chosen.settings, overrides, f"recipe {recipe}", "recipe")
        return
    if dataset is None or (out is None and not profile):
        raise InputError("train needs a data set and a run folder: earmark train RECIPE DATASET -o RUN")
    from earmark.data.dataset import open_dataset
    from earmark.environment import resolve_device
    from earmark.recipes.job import Request
    from earmark.recipes.run import profile_recipe, run_recipe

    run = out or Path("RUN")  # with --profile nothing is read or written there
    request = Request(
        dataset=open_dataset(dataset),
        run=run,
        layer=labels,
        test_fold=test_fold,
        validation_fold=validation_fold,
        folds=folds,
        init=init,
        teacher=teacher,
        tag_map=tag_map,
        seed=seed,
        device=resolve_device(device),
        workers=workers,
        resume=resume,
    )
    if profile:
        found = profile_recipe(chosen, request, overrides)
        first = "" if found.folder == Path() else f": {run / found.folder}, which is trained first"
        print("\n".join([f"{recipe} on {request.dataset.name}{first}", *found.lines()]))
        return
    splits = run_recipe(chosen, request, overrides)
    run_word, data_word = shlex.quote(str(run)), shlex.quote(str(dataset))
    print(f"model: {run / 'model'}")
    use = f"evaluate {run_word} {data_word} --split test" if len(splits.test) else f"tag {run_word} YOUR_RECORDINGS/"
    steps = [f"tune {run_word} {data_word}", f"{use} --events"] if chosen.finds_events else [use]
    steps.append(f"report {run_word}")
    for place, step in enumerate(steps):
        print(f"{'' if place else 'next:':<6} {command_word()} {step}")
