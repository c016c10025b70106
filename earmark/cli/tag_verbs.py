"""The verb for recordings outside any data set: tag."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from earmark.cli.app import LEFT_OUT, Device, ModelFolder, Quiet, Verbose, app
from earmark.errors import InputError

if TYPE_CHECKING:
    from earmark.events.output import EventPrinter
    from earmark.events.tagging import EventTagger
    from earmark.tagging import Tagged
    from earmark.tagging_output import Printer


@app.command()
def tag(
    model: ModelFolder,
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, folders, or - for a list on stdin.")],
    output_format: Annotated[
        Literal["table", "jsonl", "csv"], typer.Option("--format", help="How the tags are printed.")
    ] = "table",
    top_k: Annotated[int | None, typer.Option(min=1, help="At most so many tags; default: 5.")] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Only scores of at least this; default: 0, with --events what was tuned for the model, else 0.5.",
        ),
    ] = None,
    events: Annotated[bool, typer.Option("--events", help="Sounds with their onset and offset instead.")] = False,
    median_filter: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=60,
            metavar="SECONDS",
            help="With --events: length of the filter of scores; default: what was tuned for the model, else none.",
        ),
    ] = None,
    embeddings: Annotated[Path | None, typer.Option(metavar="OUT.npz", help="Keep embeddings here.")] = None,
    device: Device = "auto",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Tag recordings, or find when each sound begins and ends.

    Best tags first; with --events, a line a sound with its onset and offset in seconds.

    Recordings over 30 s are tagged in windows: a line a window with its onset and offset in seconds, then a line with
    the maxima over the recording. An event is one, however long it or its recording is, and is given once it has ended;
    its score is the greatest in it. A file that cannot be read is named and passed over (exit code 3).

    Example: earmark tag run recordings/ --format csv --threshold .3 > tags.csv

    Example: earmark tag run recordings/ --events --format csv > events.csv
    """
    if events:
        if top_k is not None or embeddings is not None:
            raise InputError("--events gives every event there is, and takes neither --top-k nor --embeddings")
        from earmark import load_event_tagger
        from earmark.events.output import EVENT_PRINTERS

        tagger = load_event_tagger(model, device, threshold, median_filter)
        _print_events(tagger, paths, EVENT_PRINTERS[output_format]())
        return
    if median_filter is not None:
        raise InputError("--median-filter is of framewise scores; add --events")
    if embeddings is not None and not embeddings.parent.is_dir():
        raise InputError(f"--embeddings must name a file in a folder that is there; {embeddings.parent} is none")
    from earmark.tagging_output import PRINTERS

    _print_tags(model, paths, PRINTERS[output_format](top_k or 5, threshold or 0.0), embeddings, device)


def _print_tags(model: Path, paths: list[str], printer: "Printer", embeddings: Path | None, device: str) -> None:
    """What `tag` prints without --events."""
    from earmark import load_tagger
    from earmark.tagging import find_recordings, write_embeddings

    tagger = load_tagger(model, device)
    recordings = find_recordings(paths)
    kept = []

    def lines(result: "Tagged") -> Iterator[str]:
        if embeddings is not None and result.onset is None:
            kept.append((result.path, result.embedding))
        return printer.lines(result, tagger.tags)

    failed = _print_found(tagger.tag(recordings), printer.header, lines)
    if embeddings is not None:
        write_embeddings(embeddings, kept)
    _exit_if_any_failed(failed, len(recordings))


def _print_events(tagger: "EventTagger", paths: list[str], printer: "EventPrinter") -> None:
    """What `tag --events` prints."""
    from earmark.tagging import find_recordings

    recordings = find_recordings(paths)
    failed = _print_found(tagger.tag(recordings), printer.header, printer.lines)
    _exit_if_any_failed(failed, len(recordings))


def _print_found(found: Iterable[object], header: str | None, lines: Callable[[Any], Iterable[str]]) -> int:
    """Prints what is found in recordings as it comes; names those that cannot be read, and counts them."""
    from earmark.tagging import Unreadable

    failed = 0
    if header:
        print(header)
    for item in found:
        if isinstance(item, Unreadable):
            failed += 1
            typer.echo(f"earmark: {item.path}: {item.problem}", err=True)
            continue
        for line in lines(item):
            print(line, flush=True)
    return failed


def _exit_if_any_failed(failed: int, num_recordings: int) -> None:
    if failed:
        typer.echo(f"earmark: {failed} of {num_recordings} recordings could not be read", err=True)
        raise typer.Exit(LEFT_OUT)
