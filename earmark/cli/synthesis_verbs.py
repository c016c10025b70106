"""Verbs that make data whose truth is known: mix, corrupt."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from earmark.cli.app import (
    MoreSettings,
    OntologyFile,
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

Source = Annotated[Path | None, typer.Argument(metavar="DATASET", help="Made by `earmark import`.")]
Out = Annotated[Path | None, typer.Option("-o", "--out", metavar="OUT", help="The data set folder to make.")]


@app.command()
def mix(
    dataset: Source = None,
    more_settings: MoreSettings = None,
    out: Out = None,
    labels: Annotated[
        str, typer.Option(metavar="LAYER", help="The labels of the sounds, a truth layer too.")
    ] = "given",
    backgrounds: Annotated[
        Path | None, typer.Option(metavar="DATASET", help="Recordings to place sounds on, in place of noise.")
    ] = None,
    test_fold: Annotated[int | None, typer.Option(help="The fold whose sounds the test split is made of.")] = None,
    validation_fold: Annotated[int | None, typer.Option(help="The fold of the validation split's sounds.")] = None,
    settings: Overrides = None,
    show: Show = False,
    seed: Seed = 0,
    workers: Workers = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Mix soundscapes with exact strong labels.

    Places sounds of a data set of single sounds on a background, and writes audio and labels as a new data set. Same
    seed, same bytes; no recording is heard in two splits.

    Example: earmark mix sounds -o scenes --test-fold 5 --validation-fold 4 --set num_clips=200
    """
    from earmark.data.synthesis import MixSettings

    dataset, overrides = dataset_and_overrides(dataset, settings, more_settings)
    if show:
        show_settings(MixSettings, overrides, "mix", "mix")
        return
    folder, out = _both("mix", dataset, out)
    from earmark.config import settings_from
    from earmark.data.dataset import open_dataset
    from earmark.data.synthesis import mix as mix_dataset

    chosen = settings_from(MixSettings, overrides, where="mix")
    summary = mix_dataset(
        open_dataset(folder),
        out,
        chosen,
        seed=seed,
        layer=labels,
        backgrounds=None if backgrounds is None else open_dataset(backgrounds),
        test_fold=test_fold,
        validation_fold=validation_fold,
        workers=workers,
    )
    print("\n".join(summary.lines()))
    print(f"next:  {command_word()} info {shlex.quote(str(out))}")


@app.command()
def corrupt(
    dataset: Source = None,
    more_settings: MoreSettings = None,
    out: Out = None,
    labels: Annotated[str, typer.Option(metavar="LAYER", help="The label layer that is true.")] = "given",
    ontology: OntologyFile = None,
    settings: Overrides = None,
    show: Show = False,
    seed: Seed = 0,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Plant faults in true labels, and record them.

    Missing and wrong labels, a long tail, withheld times, verified clips: a new data set of the same audio, with the
    faults in its labels and a layer with the truth, which recipes refuse to train on.

    Example: earmark corrupt sounds -o noisy --set wrong_rate=.4 verified_share=.25 'keep_folds=[4,5]'
    """
    from earmark.data.synthesis import CorruptSettings

    dataset, overrides = dataset_and_overrides(dataset, settings, more_settings)
    if show:
        show_settings(CorruptSettings, overrides, "corrupt", "corrupt")
        return
    folder, out = _both("corrupt", dataset, out)
    from earmark.config import settings_from
    from earmark.data.dataset import open_dataset
    from earmark.data.ontology import read_ontology
    from earmark.data.synthesis import corrupt as corrupt_dataset

    summary = corrupt_dataset(
        open_dataset(folder),
        out,
        settings_from(CorruptSettings, overrides, where="corrupt"),
        seed=seed,
        layer=labels,
        ontology=None if ontology is None else read_ontology(ontology),
    )
    print("\n".join(summary.lines()))
    out_word = shlex.quote(str(out))
    print(f"next:  {command_word()} train RECIPE {out_word} -o RUN")
    print(f"       {command_word()} evaluate RUN {out_word} --labels truth")


def _both(verb: str, dataset: Path | None, out: Path | None) -> tuple[Path, Path]:
    if dataset is None or out is None:
        raise InputError(f"{verb} needs a data set and a folder to make: earmark {verb} DATASET -o OUT")
    return dataset, out
