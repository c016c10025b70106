"""Made-up clips for the tests of event metrics, as ours and as the plain versions take them."""

import itertools

import numpy as np
from hypothesis import strategies as st

from earmark.metrics.events import events_from_arrays
from earmark.metrics.framewise import framewise_scores
from tests.reference.plain_events import Clip

HOP_US = 250_000


@st.composite
def clips_with_scores(draw, max_clips=3, max_tags=3, max_frames=9, levels=5):
    """Clips of a few frames, events on a finer grid, scores with many ties."""
    num_tags = draw(st.integers(1, max_tags))
    clips = []
    for _ in range(draw(st.integers(1, max_clips))):
        num_frames = draw(st.integers(1, max_frames))
        duration = num_frames * HOP_US - draw(st.sampled_from([0, 0, 100_000]))
        edges = [*range(0, num_frames * HOP_US, HOP_US), duration]
        row = st.lists(st.integers(0, levels).map(lambda level: level / 8), min_size=num_frames, max_size=num_frames)
        events = [draw(events_of(duration)) for _ in range(num_tags)]
        clips.append(Clip(duration, edges, events, [draw(row) for _ in range(num_tags)]))
    return clips


@st.composite
def events_of(draw, duration_us, most=3):
    """Events on a grid of 50 ms that don't overlap but may touch."""
    times = draw(st.lists(st.integers(0, duration_us // 50_000), unique=True, max_size=2 * most))
    times = [50_000 * time for time in sorted(times)]
    if draw(st.booleans()):
        return list(itertools.pairwise(times))[:most]
    return list(zip(times[::2], times[1::2], strict=False))


def ours(clips, events=None):
    """Events of `Clip`s, or other events[clip][tag] of the same clips."""
    listed = [clip.events for clip in clips] if events is None else events
    rows = [(c, t, on / 1e6, off / 1e6) for c, of in enumerate(listed) for t, some in enumerate(of) for on, off in some]
    columns = [np.array(column) for column in zip(*rows, strict=True)] or [np.zeros(0, int)] * 4
    durations = [clip.duration / 1e6 for clip in clips]
    return events_from_arrays(*columns, duration_s=durations, num_tags=len(clips[0].events))


def our_scores(clips):
    """The scores of `Clip`s."""
    scores = np.concatenate([np.array(clip.scores).T for clip in clips])
    num_frames = [len(clip.edges) - 1 for clip in clips]
    durations = [clip.duration / 1e6 for clip in clips]
    return framewise_scores(scores, num_frames, hop_s=HOP_US / 1e6, duration_s=durations)


def random_case(num_clips=12, num_tags=3, num_frames=40, seed=0, distance=1.5):
    """Events and scores that know of them: the reference, and framewise scores of 250 ms."""
    rng = np.random.default_rng(seed)
    rows = []
    duration = num_frames * HOP_US / 1e6
    scores = rng.normal(0, 1, (num_clips, num_frames, num_tags))
    scores[:, 1:] += scores[:, :-1]
    middle = (np.arange(num_frames) + 0.5) * HOP_US / 1e6
    for clip in range(num_clips):
        for tag in range(num_tags):
            now = rng.uniform(0, 4)
            while now < duration - 1 and rng.random() < 0.7:
                end = min(duration, now + rng.uniform(0.1, 3))
                rows.append((clip, tag, round(now, 3), round(end, 3)))
                scores[clip, (middle > now) & (middle < end), tag] += distance
                now = end + rng.uniform(0.05, 2)
    columns = [np.array(column) for column in zip(*rows, strict=True)] or [np.zeros(0, int)] * 4
    reference = events_from_arrays(*columns, duration_s=np.full(num_clips, duration), num_tags=num_tags)
    grid = framewise_scores(
        scores.reshape(-1, num_tags), np.full(num_clips, num_frames), hop_s=HOP_US / 1e6,
        duration_s=np.full(num_clips, duration),
    )  # fmt: skip
    return reference, grid


def moved(events, *, clips=None, tags=None, later_s=0.0, longer_s=0.0, more=()):
    """The events in other clips and tags, all of them later, in longer clips, with more rows (clip, tag, on, off)."""
    clip, tag = (own if names is None else names[own] for own, names in ((events.clip, clips), (events.tag, tags)))
    durations = np.empty(events.num_clips)
    durations[slice(None) if clips is None else clips] = events.duration_us / 1e6 + longer_s
    columns = [clip, tag, events.onset_us / 1e6 + later_s, events.offset_us / 1e6 + later_s]
    if more:
        columns = [np.append(column, row) for column, row in zip(columns, zip(*more, strict=True), strict=True)]
    return events_from_arrays(*columns, duration_s=durations, num_tags=events.num_tags)
