"""The most pairs of reference events and detections that can be made if each takes part in one at most."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence


class Matching:
    """A greatest matching, kept so while detections come and go.

    Taking pairs as they come can leave out an event that another choice would have served: if detection 0 fits events 0
    and 1, and detection 1 fits event 0 alone, detection 0 must not keep event 0. So whoever is without a partner asks
    whether those that hold a possible one can take another, along the shortest chain that ends at one that is free.

    Source: Berge 1957: a matching that no such chain extends is a greatest one. A chain that a change opens begins
    where the change was, so one search a change is enough.

    >>> matching = Matching()
    >>> for detection, events in ((0, [0, 1]), (1, [0]), (2, [1])):
    ...     matching.add(detection, events)
    >>> sorted(matching.detection_of.items())
    [(0, 1), (1, 0)]
    >>> matching.remove(1)
    >>> sorted(matching.detection_of.items())
    [(0, 0), (1, 2)]
    """

    def __init__(self) -> None:
        self.detection_of: dict[int, int] = {}
        self._event_of: dict[int, int] = {}
        self._events: dict[int, Sequence[int]] = {}
        self._detections: dict[int, dict[int, None]] = {}

    def __len__(self) -> int:
        return len(self.detection_of)

    def add(self, detection: int, events: Sequence[int]) -> None:
        """A new detection that fits some events."""
        self._events[detection] = events
        for event in events:
            self._detections.setdefault(event, {})[detection] = None
        _extend(detection, self._events, self._event_of, self.detection_of)

    def remove(self, detection: int) -> None:
        """Takes a detection away; another one may now serve its event."""
        for event in self._events.pop(detection):
            del self._detections[event][detection]
        event = self._event_of.pop(detection, -1)
        if self.detection_of.pop(event, None) is not None:
            _extend(event, self._detections, self.detection_of, self._event_of)


def _extend(
    start: int, possible: Mapping[int, Iterable[int]], partner_of: dict[int, int], holder_of: dict[int, int]
) -> None:
    """Gives a partner to one more, if a chain of exchanges leads to a free one.

    Args:
        possible: partners of each on the side of `start`.
        partner_of, holder_of: the matching, from that side and from the other.
    """
    asked_by: dict[int, int] = {}
    waiting = deque([start])
    while waiting:
        asking = waiting.popleft()
        for partner in possible[asking]:
            if partner in asked_by:
                continue
            asked_by[partner] = asking
            if partner in holder_of:
                waiting.append(holder_of[partner])
                continue
            free: int | None = partner
            while free is not None:
                asking = asked_by[free]
                holder_of[free] = asking
                given_up = partner_of.get(asking)
                partner_of[asking] = free
                free = given_up
            return
