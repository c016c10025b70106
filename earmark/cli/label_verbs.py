"""Verbs that make scores and labels of scores: score, relabel."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from earmark.cli.app import (
    DatasetFolder,
    Device,
    ModelFolder,
    OntologyFile,
    Quiet,
    Verbose,
    Workers,
    app,
    command_word,
)

if TYPE_CHECKING:
    from earmark.scores.store import ScoreStore


@app.command()
def score(
    model: ModelFolder,
    dataset: DatasetFolder,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="SCORES", help="The score store to make.")],
    folds: Annotated[
        int | None,
        typer.Option(min=2, help="Train so many models as the run MODEL was, each without a fold; score that fold."),
    ] = None,
    chunk_s: Annotated[
        float | None, typer.Option(min=0.1, metavar="SECONDS", help="Cut clips into chunks and score each of them.")
    ] = None,
    min_chunk_s: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="A shorter last chunk joins the one before; default: 0.5."),
    ] = None,
    precision: Annotated[
        Literal["auto", "bf16", "fp32"],
        typer.Option(help="Of the model; auto is bf16 where the processor computes it natively."),
    ] = "auto",
    device: Device = "auto",
    workers: Workers = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Store what a model says of every clip, or of every chunk of it.

    With --folds each clip is scored by a model that never saw it: what scores that judge or change labels should be.
    With --chunk-s the scores are soft labels for a student to learn from. Stopped anywhere, the same command goes on.

    Example: earmark score run sounds --folds 4 -o scores
    """
    from earmark.data.chunking import chunking_from
    from earmark.data.dataset import open_dataset
    from earmark.environment import resolve_device, resolve_precision
    from earmark.errors import InputError

    if chunk_s is None and min_chunk_s is not None:
        raise InputError("--min-chunk-s is read with --chunk-s only")
    chunking = None if chunk_s is None else chunking_from(chunk_s, min_chunk_s)
    opened, chosen = open_dataset(dataset), resolve_device(device)
    resolved = resolve_precision(precision, chosen)
    if folds is not None:
        from earmark.recipes.scoring import score_out_of_fold

        store = score_out_of_fold(
            model, opened, folds, out, chunking=chunking, device=chosen, precision=resolved, workers=workers
        )
    else:
        from earmark.recipes.out_of_fold import refuse_folds
        from earmark.scores.chunk_scores import store_model_scores

        refuse_folds(out)
        store = store_model_scores(
            model, opened, out, chunking=chunking, device=chosen, precision=resolved, workers=workers
        )
    _print_store(store, shlex.quote(str(dataset)), shlex.quote(str(out)))


def _print_store(store: "ScoreStore", dataset: str, scores: str) -> None:
    """Prints what is stored and, where there is such a thing, what to do with it."""
    what, followed_by = f"{len(store.scores)} clips", None
    if store.chunking is not None:
        what = f"{len(store.scores)} chunks of {(store.column('onset') == 0).sum()} clips"
        followed_by = f"train psl {dataset} --teacher {scores} -o RUN"
    elif store.about["out_of_fold"]:
        followed_by = f"relabel ontology {dataset} --scores {scores} --name enhanced"
    print(f"{store.folder}: scores of {what}, {len(store.tags)} tags")
    if followed_by:
        print(f"next:  {command_word()} {followed_by}")


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
    ontology: OntologyFile = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Add labels that an ontology proposes and scores confirm (PSLA).

    A clip's tags propose their children and ancestors; one is added where its score is above the tag's threshold.

    Example: earmark relabel ontology sounds --scores scores --name enhanced
    """
    from earmark.data.dataset import open_dataset
    from earmark.data.ontology import ontology_of
    from earmark.relabel.enhanced_layer import add_enhanced_layer, enhancement_lines
    from earmark.scores.store import open_scores

    opened = open_dataset(dataset)
    found, unknown = add_enhanced_layer(
        opened,
        open_scores(scores),
        ontology_of(ontology),
        name,
        parent=labels,
        types=types,
        threshold=threshold,
        ancestors=ancestors,
        written_by="earmark relabel ontology",
    )
    print("\n".join(enhancement_lines(opened, name, found, unknown)))
    print(f"next:  {command_word()} train psla {shlex.quote(str(dataset))} --labels {name} -o RUN")
