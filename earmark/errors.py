"""What is said when something a user gave cannot be used: one line, with the way out."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something a user gave cannot be used; the message is the one line that they read.

    The command prints the message and exits 2. Any other exception is a bug and keeps its traceback.
    """


class OtherWorkError(InputError):
    """A folder holds work of other settings than those asked for.

    Attributes:
        found: the message without its way out, for whoever knows a better one.
    """

    def __init__(self, found: str, way_out: str) -> None:
        super().__init__(f"{found}; {way_out}")
        self.found = found


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or the known ones.

    >>> did_you_mean("mixup", ["mixup_rate", "epochs"])
    '; did you mean "mixup_rate"?'
    >>> did_you_mean("zzz", ["b", "a"])
    '; known are a, b'
    """
    names = sorted(known)
    by_lower = {known_name.lower(): known_name for known_name in names}
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.5)
    if near:
        return f'; did you mean "{by_lower[near[0]]}"?'
    return f"; known are {first_few(names, 12)}" if names else "; none are known"


_OF_ONE = {"are": "is", "were": "was", "have": "has"}


def counted(number: int, noun: str, verb: str = "") -> str:
    """A number, what it counts and what these do, in the plural unless it is 1.

    >>> counted(1, "clip", "are"), counted(1, "line", "name"), counted(0, "audio file")
    ('1 clip is', '1 line names', '0 audio files')
    """
    if number != 1:
        return f"{number} {noun}s {verb}".rstrip()
    return f"{number} {noun} {_OF_ONE.get(verb, verb and f'{verb}s')}".rstrip()


def first_few(items: Iterable[object], limit: int = 5) -> str:
    """At most `limit` of the items, and how many more there are.

    >>> first_few(range(7))
    '0, 1, 2, 3, 4 and 2 more'
    """
    everything = [str(item) for item in items]
    shown = ", ".join(everything[:limit])
    more = len(everything) - limit
    return f"{shown} and {more} more" if more > 0 else shown
