"""Clips to listen to whose labels a layer changed."""

from dataclasses import dataclass

import numpy as np

from earmark.clip_figure import clip_figure, clip_waveform, events_to_draw
from earmark.data.layer_diff import CHANGES
from earmark.data.statements import WEAK, IntArray, Statements
from earmark.errors import InputError, counted, first_few
from earmark.figures import ClipFigure
from earmark.labels.changes import KINDS, tag_pairs
from earmark.labels.compared import ComparedLayers

CLIPS_A_KIND = 12
MOST_NAMES = 8
MOST_SOUND_S = 400.0
"""Of all clips together, so that a page opens on a phone: of longer clips than 10 s there are fewer."""


@dataclass(frozen=True)
class Examples:
    """Clips with a tag that was added, removed or changed.

    Attributes:
        kind: which of these.
        words: how the clips were chosen.
        figures: by name.
        lines: why others are not there.
    """

    kind: str
    words: str
    figures: list[tuple[str, ClipFigure]]
    lines: list[str]


def examples(compared: ComparedLayers, seed: int) -> list[Examples]:
    """Up to 12 clips of each kind of change that there is, with as many tags among them as there are; no clip twice.

    Args:
        seed: of the draw.
    """
    places = {kind: np.flatnonzero(compared.tags.kind == KINDS.index(kind)) for kind in CHANGES}
    kinds = [kind for kind in CHANGES if len(places[kind])]
    shown: set[int] = set()
    found = {}
    # The rarest kind first: its clips may have tags of the other kinds, too.
    for kind in sorted(kinds, key=lambda kind: len(places[kind])):
        drawn = drawn_places(compared.tags.tag_index, places[kind], seed)
        found[kind] = _examples(compared, kind, drawn, shown, MOST_SOUND_S / len(kinds), seed)
    return [found[kind] for kind in kinds]


def drawn_places(tag_index: IntArray, places: IntArray, seed: int) -> IntArray:
    """Some places in an order drawn by chance: the first of each tag, then the second of each, and so on.

    Args:
        tag_index: the tag at every place, (place,).

    >>> drawn_places(np.array([0, 1, 0, 0]), np.array([0, 1, 2]), seed=0).tolist()
    [2, 1, 0]
    """
    order = np.random.default_rng(seed).permutation(places)
    tag = tag_index[order]
    by_tag = np.argsort(tag, kind="stable")
    first = np.searchsorted(tag[by_tag], tag[by_tag])
    turn = np.empty(len(order), np.int64)
    turn[by_tag] = np.arange(len(order)) - first
    return order[np.argsort(turn, kind="stable")]


def _examples(
    compared: ComparedLayers, kind: str, places: IntArray, shown: set[int], sound_s: float, seed: int
) -> Examples:
    """The first clips of some places that can be heard, each added to those shown."""
    figures: list[tuple[str, ClipFigure]] = []
    unheard: list[str] = []
    for place in places.tolist():
        row = int(compared.tags.clip_index[place])
        if row in shown:
            continue
        if len(figures) + len(unheard) == CLIPS_A_KIND:
            break
        shown.add(row)
        try:
            figure = _clip(compared, row, int(compared.tags.tag_index[place]), kind)
        except InputError as error:
            unheard.append(str(error))
            continue
        heard_s = figure.duration_s if figure.audio else 0.0
        if heard_s > sound_s:
            break
        sound_s -= heard_s
        figures.append((f"{kind}-{len(figures) + 1}", figure))
    more = [f"and {counted(len(unheard) - 1, 'other clip')} of those drawn"] if len(unheard) > 1 else []
    words = (
        f"{counted(len(figures), 'clip')}, drawn by chance with the seed {seed} from {counted(len(places), 'tag')} of "
        f"clips that {'was' if len(places) == 1 else 'were'} {kind}, each tag once before any comes twice."
    )
    if not figures and not unheard:
        more = ["The clips with such a tag stand among those of the other kinds."]
    return Examples(kind, words, figures, [*unheard[:1], *more])


def _clip(compared: ComparedLayers, row: int, tag: int, kind: str) -> ClipFigure:
    """A clip with a tag that changed, its events before as reference and those after as estimated.

    Raises:
        InputError: its recording cannot be read.
    """
    dataset, name = compared.dataset, compared.dataset.vocabulary.tags[tag]
    before, after = (compared.said[layer].of_clip(row) for layer in (compared.before, compared.after))
    events = [events_to_draw(own, dataset.vocabulary.tags) for own in (before, after)]
    told = [f"{name}: {_in_words(before, tag)} → {_in_words(after, tag)}.", *_of_other_tags(compared, row, tag)]
    if any(events):
        told.append(f"Filled: events by {compared.before}; outlined: by {compared.after}.")
    figure = clip_figure(
        dataset,
        row,
        clip_waveform(dataset, row),
        title=f"{name} {kind} in {dataset.clips['clip'][row]}",
        caption=" ".join(told),
        alt=f"Log-mel of a clip whose tag {name} was {kind}; {counted(len(events[0]), 'event')} before, "
        f"{len(events[1])} after.",
        estimated=events[1],
        reference=events[0],
    )
    return figure.model_copy(update={"reference_name": compared.before, "estimated_name": compared.after})


def _in_words(own: Statements, tag: int) -> str:
    """What a clip's labels say of a tag."""
    said = own.at(own.tag_index == tag)
    if not len(said):
        return "none"
    weak = said.onset == WEAK
    parts = ["without times"] * bool(weak.any()) + [counted(int((~weak).sum()), "event")] * bool((~weak).any())
    value = float(said.value.max())
    return " and ".join(parts) + ("" if value == 1 else f" with a value of {value:.3g}")


def _of_other_tags(compared: ComparedLayers, row: int, tag: int) -> list[str]:
    """What became of a clip's other tags, and which tags it has in truth."""
    tags, names = compared.tags, compared.dataset.vocabulary.tags
    others = np.flatnonzero((tags.clip_index == row) & (tags.tag_index != tag))
    told = []
    for place, kind in enumerate(KINDS):
        of_kind = tags.tag_index[others[tags.kind[others] == place]]
        if len(of_kind):
            told.append(f"{kind.capitalize()}: {first_few((names[one] for one in of_kind), MOST_NAMES)}.")
    if compared.truth is not None:
        true = np.unique(tag_pairs(compared.said[compared.truth].of_clip(row), compared.num_tags) % compared.num_tags)
        told.append(f"By layer {compared.truth}: {first_few((names[one] for one in true), MOST_NAMES) or 'none'}.")
    return told
