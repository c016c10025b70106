"""Verbs that use what was trained: evaluate, map, report, ensemble."""

import json
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
    Seed,
    Verbose,
    Workers,
    app,
    command_word,
    refuse_twice,
)
from earmark.errors import InputError

if TYPE_CHECKING:
    from earmark.data.vocabulary import Vocabulary


@app.command()
def evaluate(
    model: ModelFolder,
    dataset: DatasetFolder,
    split: Annotated[Literal["train", "validation", "test", "all"], typer.Option(help="Which clips.")] = "test",
    labels: Annotated[str, typer.Option(metavar="LAYER", help="The label layer taken for the truth.")] = "given",
    tag_map: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help="A CSV of the tags shared; made by `earmark map`.")
    ] = None,
    by_epoch: Annotated[
        bool, typer.Option("--by-epoch", help="Instead: what averaging the run's kept epochs is worth, as a figure.")
    ] = False,
    events: Annotated[
        bool, typer.Option("--events", help="Instead: the events found in clips labelled strong, by event metrics.")
    ] = False,
    clip: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --events: a clip to show with its events, as a figure.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the evaluation as JSON.")] = False,
    device: Device = "auto",
    seed: Seed = 0,
    workers: Workers = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Score a model on a split, with 95 % intervals.

    The splits are those the model was trained with. F1 is at each tag's best threshold on the
    validation split. A run folder keeps the result in evaluation/SPLIT.json, with figures and clips to listen to for
    its page, and that of --by-epoch in figures/averaging-SPLIT.json.

    With --events: collar-, segment- and intersection-based F1 and PSDS, of the clips labelled strong, decided as `tune`
    has chosen (else by 0.5). A run folder keeps it in evaluation/events/SPLIT.json, with figures.

    Example: earmark evaluate run sounds --split test

    Example: earmark evaluate run scenes --events --clip test-000003
    """
    if by_epoch and (tag_map is not None or as_json):
        raise InputError("--by-epoch writes a figure of the run's own tags, and takes neither --map nor --json")
    if events and (tag_map is not None or by_epoch):
        raise InputError("--events judges the model's own tags as they are, and takes neither --map nor --by-epoch")
    if clip is not None and not events:
        raise InputError("--clip shows the events of a clip; add --events")
    if events:
        _evaluate_events(model, dataset, split, labels, clip, as_json, device, seed, workers)
        return
    from earmark.data.dataset import open_dataset
    from earmark.environment import resolve_device
    from earmark.evaluation import evaluate_model
    from earmark.evaluation_summary import summary_lines
    from earmark.scores.evaluated import evaluation_name

    if by_epoch:
        from earmark.averaging import averaging_by_start_epoch
        from earmark.figures import write_figure

        opened = open_dataset(dataset)
        figure = averaging_by_start_epoch(model, opened, split, resolve_device(device), workers, layer=labels)
        path = write_figure(model / "figures", f"averaging-{evaluation_name(split, labels)}", figure)
        print(f"{path}: {figure.alt}")
        return
    result = evaluate_model(
        model,
        open_dataset(dataset),
        split=split,
        layer=labels,
        tag_map=tag_map,
        device=resolve_device(device),
        seed=seed,
        workers=workers,
    )
    print(json.dumps(result, indent=2) if as_json else "\n".join(summary_lines(result)))


def _evaluate_events(
    model: Path,
    dataset: Path,
    split: str,
    labels: str,
    clip: str | None,
    as_json: bool,
    device: str,
    seed: int,
    workers: int | None,
) -> None:
    """What `evaluate` prints with --events."""
    from earmark.data.dataset import open_dataset
    from earmark.environment import resolve_device
    from earmark.evaluation_summary import event_summary_lines
    from earmark.events.evaluation import evaluate_model_events, write_clip_events

    opened, on = open_dataset(dataset), resolve_device(device)
    # First, because a name that is not known is seen at once.
    shown = clip and write_clip_events(model, opened, clip, layer=labels, device=on, workers=workers)
    result = evaluate_model_events(model, opened, split=split, layer=labels, device=on, seed=seed, workers=workers)
    print(json.dumps(result, indent=2) if as_json else "\n".join(event_summary_lines(result)))
    if shown and not as_json:
        print(f"clip: {shown}")


@app.command("map")
def map_(
    model: Annotated[Path, typer.Argument(metavar="MODEL|SCORES", help="A model, a run, or a score store.")],
    dataset: DatasetFolder,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The CSV to write.")],
    ontology: OntologyFile = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Propose which tags of a model, or of a score store, stand for a data set's.

    Tags that mean the same node of the ontology. Look at the CSV and mend it, then evaluate with it, or let the model
    (or the store of chunk scores) teach with it: train psl --teacher MODEL --map FILE.

    Example: earmark map run other -o map.csv && earmark evaluate run other --split all --map map.csv
    """
    from earmark.data.dataset import open_dataset
    from earmark.data.ontology import ontology_of
    from earmark.errors import first_few
    from earmark.tag_map import propose_tag_map, write_tag_map

    vocabulary = open_dataset(dataset).vocabulary
    theirs, used_by = _tags_and_uses(model)
    proposed = propose_tag_map(vocabulary, theirs, ontology_of(ontology))
    write_tag_map(proposed, out)
    print(f"{out}: {len(proposed.model_tags)} of {len(vocabulary)} tags are among the model's {len(theirs)}")
    others = [tag for tag in vocabulary.tags if tag not in proposed.model_tags]
    if others:
        print(f"without one: {first_few(others)}")
    model_word, data_word, file_word = (shlex.quote(str(path)) for path in (model, dataset, out))
    for place, use in enumerate(used_by):
        words = use.format(model=model_word, dataset=data_word)
        print(f"{'' if place else 'next:':<6} {command_word()} {words} --map {file_word}")


def _tags_and_uses(model: Path) -> tuple["Vocabulary", list[str]]:
    """The tags of a model or of a score store, and the commands that take a map of them."""
    from earmark.data.vocabulary import Vocabulary
    from earmark.models.ensemble import open_model
    from earmark.scores.store import is_score_store, open_scores

    taught = "train psl {dataset} --teacher {model} -o RUN"
    if is_score_store(model):
        store = open_scores(model)
        return Vocabulary(store.tags), [taught] if store.chunking else []
    config = open_model(model).config
    return Vocabulary(config.vocabulary, config.ids), ["evaluate {model} {dataset} --split all", taught]


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
    print(f"data:  {page.stem}.json, {page.stem}.md")
    for line in headline(run):
        print(line)
    word = command_word()
    print(f"next:  {word} tag {shlex.quote(str(run))} YOUR_RECORDINGS/")
    print(f"       {word} import YOUR_FOLDER_OF_CLASS_FOLDERS -o sounds && {word} train baseline sounds -o my_run")


@app.command()
def ensemble(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run or model folders.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="MODEL", help="The model folder to make.")],
    epochs_from: Annotated[
        int | None, typer.Option(min=1, help="Members are each run's weights after every epoch from this one on.")
    ] = None,
    mean: Annotated[
        Literal["arithmetic", "geometric"], typer.Option(help="How the scores are averaged.")
    ] = "arithmetic",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make one model of several: it scores the mean of their scores.

    Of runs with other seeds or settings; or of one run's epochs, if it kept their weights (keep_from_epoch=1).

    Example: earmark ensemble run1 run2 run3 -o model
    """
    from earmark.models.ensemble import Ensemble, epoch_taggers, save_ensemble
    from earmark.models.tagger import load_model, model_folder

    refuse_twice(map(model_folder, runs), "each member of an ensemble must be given once, or it counts double")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: must not exist yet, something is there; name another folder")
    if epochs_from is None:
        members = [load_model(run) for run in runs]
    else:
        members = [tagger for run in runs for tagger in epoch_taggers(run, epochs_from)]
    save_ensemble(Ensemble(members, mean), out)
    print(f"{out}: {len(members)} members, {mean} mean of their scores")
    print(f"next:  {command_word()} tag {shlex.quote(str(out))} YOUR_RECORDINGS/")
