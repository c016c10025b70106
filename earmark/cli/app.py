"""The command's frame: options that mean the same everywhere, and what goes to stderr."""

import logging
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

import earmark
from earmark.errors import InputError

if TYPE_CHECKING:
    from earmark.config import Settings

LEFT_OUT = 3
"""Exit code of a verb that finished but left files out; each is named on stderr."""

log = logging.getLogger(__name__)


class Verbs(TyperGroup):
    """Runs a verb; what a user can mend is answered in one line, a bug keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Exits 2 for a user's error, 130 when interrupted."""
        try:
            return super().invoke(ctx)
        except InputError as error:
            raise _answered(error, str(error), 2) from error
        except OSError as error:
            if error.filename is None:
                raise
            raise _answered(error, f"{error.filename}: {error.strerror}", 2) from error
        except KeyboardInterrupt as error:
            message = "interrupted; what is written is whole, and the same command goes on (train: add --resume)"
            raise _answered(error, message, 130) from error


def _answered(error: BaseException, message: str, code: int) -> typer.Exit:
    log.debug("where it happened:", exc_info=error)
    typer.echo(f"earmark: {message}", err=True)
    return typer.Exit(code)


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="Turns audio with imperfect labels into a good tagger, and says what it thinks of the labels.",
    epilog="Start with: earmark import FOLDER -o DATASET && earmark train baseline DATASET -o RUN && "
    "earmark tag RUN a.wav. Exit codes: 0 done; 1 a bug; 2 something given cannot be used; "
    "3 done, but files were left out.",
)


def command_word() -> str:
    """What to type for the command here: `earmark` may be in an environment that is not active."""
    if shutil.which("earmark"):
        return "earmark"
    return shlex.quote(sys.argv[0]) if Path(sys.argv[0]).name == "earmark" else "python -m earmark"


def show_settings(settings: "type[Settings]", overrides: Mapping[str, Any], where: str, heading: str) -> None:
    """Prints the settings that overrides make, a line a setting.

    Args:
        where: whose settings these are, as messages name it.
        heading: stands over the outer ones.
    """
    from earmark.config import describe, settings_from

    rows = describe(settings_from(settings, overrides, where=where))
    width = max(len(f"{key}={value}") for _, key, value, _ in rows)
    shown = None
    for group, key, value, description in rows:
        if group != shown:
            print(f"\n{group or heading}")
            shown = group
        print(f"  {key}={value:<{width - len(key)}}  {description}")


def dataset_and_overrides(
    dataset: Path | None, settings: list[str] | None, more: list[str] | None
) -> tuple[Path | None, dict[str, Any]]:
    """The data set, if one was named, and the settings.

    What follows the first word of `--set a=1 b=2` arrives as arguments, the first of them in the data set's place. Then
    the data set is the first word without `=`, or the first that is there.

    Args:
        more: the arguments behind the data set's place.
    """
    from earmark.config import parse_overrides

    words = [*(settings or []), *(more or [])]
    if dataset is None or dataset.exists() or "=" not in str(dataset):
        return dataset, parse_overrides(words)
    named = next((word for word in more or [] if "=" not in word or Path(word).exists()), None)
    words.append(str(dataset))
    if named is None:
        return None, parse_overrides(words)
    words.remove(named)
    return Path(named), parse_overrides(words)


def _version(shown: bool) -> None:
    if shown:
        print(f"earmark {earmark.__version__}")
        raise typer.Exit


@app.callback()
def _frame(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Version.")] = False,
) -> None:
    pass


def _set_up_logging(verbose: bool, quiet: bool) -> None:
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    from earmark.progress import LinesAboveBars, show_progress

    logging.basicConfig(level=logging.WARNING, handlers=[LinesAboveBars()], format="%(message)s", force=True)
    logging.getLogger("earmark").setLevel(level)
    show_progress(not quiet)


def _verbose(verbose: bool) -> bool:
    if verbose:
        _set_up_logging(verbose=True, quiet=False)
    return verbose


def _quiet(quiet: bool) -> bool:
    _set_up_logging(verbose=False, quiet=quiet)
    return quiet


def refuse_twice(folders: Iterable[Path], why: str) -> None:
    """Raises InputError where a folder is given twice, however it is written.

    Args:
        why: what each must be given once for, as the message ends.
    """
    from earmark.errors import first_few

    given = list(folders)
    resolved = [folder.resolve() for folder in given]
    twice = [folder for place, folder in enumerate(given) if resolved[place] in resolved[:place]]
    if twice:
        raise InputError(f"{why}; given again: {first_few(twice)}")


# What follows the first word of `--set a=1 b=2` arrives as arguments, see `dataset_and_overrides`.
MoreSettings = Annotated[list[str] | None, typer.Argument(hidden=True)]
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE ...", help="Settings; see --show.")]
Show = Annotated[bool, typer.Option("--show", help="Print every setting and stop.")]
DatasetFolder = Annotated[Path, typer.Argument(metavar="DATASET", help="A folder made by `earmark import`.")]
OntologyFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="AudioSet's JSON or a CSV of parent,child; default: AudioSet's.")
]
ModelFolder = Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder or a run folder.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Seed = Annotated[int, typer.Option(min=0, help="The seed of every draw.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Threads that decode; default: one a core.")]
# -q is read before -v, so that both given mean -v.
Quiet = Annotated[bool, typer.Option("-q", "--quiet", callback=_quiet, is_eager=True, help="Warnings only.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", callback=_verbose, help="Say more.")]
