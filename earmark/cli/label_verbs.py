"""Verbs that make scores and labels of scores: score, relabel."""

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from earmark.cli.app import DatasetFolder, Device, ModelFolder, Quiet, Verbose, Workers, app, command_word


@app.command()
def score(
    model: ModelFolder,
    dataset: DatasetFolder,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="SCORES", help="The score store to make.")],
    folds: Annotated[
        int | None,
        typer.Option(min=2, help="Train so many models as the run MODEL was, each without a fold; score that fold."),
    ] = None,
    device: Device = "auto",
    workers: Workers = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Store what a model says of every clip.

    With --folds each clip is scored by a model that never saw it: what scores that judge or change labels should be.
    Stopped anywhere, the same command goes on.

    Example: earmark score run sounds --folds 4 -o scores
    """
    from earmark.data.dataset import open_dataset
    from earmark.environment import resolve_device

    opened, chosen = open_dataset(dataset), resolve_device(device)
    if folds is not None:
        from earmark.recipes.scoring import score_out_of_fold

        store = score_out_of_fold(model, opened, folds, out, device=chosen, workers=workers)
    else:
        from earmark.scores.predict import store_model_scores

        store = store_model_scores(model, opened, out, device=chosen, workers=workers)
    print(f"{store.folder}: scores of {store.index.num_rows} clips, {len(store.tags)} tags")
    if store.about["out_of_fold"]:
        print(
            f"next:  {command_word()} relabel ontology {shlex.quote(str(dataset))} "
            f"--scores {shlex.quote(str(out))} --name enhanced"
        )


@app.command()
def relabel(
    method: Annotated[Literal["ontology"], typer.Argument(help="How: ontology.")],
    dataset: DatasetFolder,
    scores: Annotated[Path, typer.Option(metavar="SCORES", help="Made by `earmark score`, with --folds.")],
    name: Annotated[str, typer.Option(metavar="LAYER", help="The label layer to make.")],
    labels: Annotated[str, typer.Option(metavar="LAYER", help="The layer whose labels propose others.")] = "given",
    types: Annotated[
        Literal["type_1", "type_2", "both"], typer.Option(help="Add children (type_1), ancestors (type_2), or both.")
    ] = "both",
    threshold: Annotated[
        Literal["mean", "5", "10", "25", "50"],
        typer.Option(help="Of a tag's scores over the clips that have it: their mean, or a percentile."),
    ] = "mean",
    ancestors: Annotated[
        Literal["all", "parents_only", "stop_at_abstract"], typer.Option(help="How far up type_2 looks.")
    ] = "all",
    ontology: Annotated[
        Path | None, typer.Option(metavar="FILE", help="AudioSet's JSON or a CSV of parent,child; default: AudioSet's.")
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Add labels that an ontology proposes and scores confirm (PSLA).

    A clip's tags propose their children and ancestors; one is added where its score is above the tag's threshold.

    Example: earmark relabel ontology sounds --scores scores --name enhanced
    """
    from earmark.data.dataset import open_dataset
    from earmark.data.ontology import audioset_ontology, read_ontology
    from earmark.relabel.enhanced_layer import add_enhanced_layer, enhancement_lines
    from earmark.scores.store import open_scores

    opened = open_dataset(dataset)
    found, unknown = add_enhanced_layer(
        opened,
        open_scores(scores),
        audioset_ontology() if ontology is None else read_ontology(ontology),
        name,
        parent=labels,
        types=types,
        threshold=threshold,
        ancestors=ancestors,
        written_by="earmark relabel ontology",
    )
    print("\n".join(enhancement_lines(opened, name, found, unknown)))
    print(f"next:  {command_word()} train psla {shlex.quote(str(dataset))} --labels {name} -o RUN")
