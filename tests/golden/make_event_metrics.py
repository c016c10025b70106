"""Writes event_metrics.json: what sed_eval, sed_scores_eval and psds_eval give for events and scores that are computed,
not stored.

Run in an environment of its own, for all three need old libraries: `pip install "setuptools<81" "numpy<2.4" "pandas<3"
sed-eval psds-eval sed-scores-eval-np2`, `pip uninstall pathlib` (a package that hides Python's own), then
`python tests/golden/make_event_metrics.py`. Written with sed_eval 0.2.1, sed_scores_eval_np2 0.0.4, psds_eval 0.5.3.
"""

import json
import warnings
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

TAGS = ("Bark", "Blender", "Speech", "Water")
# Onset collar, offset collar, share of the length. The last two make events compete for detections.
COLLARS = ((0.2, 0.2, 0.2), (0.5, 0.5, 0.0), (1.5, 2.0, 0.5))
SEGMENTS_S = (1.0, 0.3)
# DTC, GTC, CTTC, alpha_ct, alpha_st, e_max, unit of time.
PSDS = (
    (0.7, 0.7, None, 0.0, 1.0, 100.0, "hour"),
    (0.1, 0.1, 0.3, 0.5, 1.0, 100.0, "hour"),
    (0.7, 0.7, None, 0.0, 1.0, 1000.0, "hour"),
    (0.1, 0.1, 0.3, 0.5, 0.0, 1500.0, "hour"),
    (0.5, 0.5, 0.3, 1.0, 0.5, 12.0, "minute"),
)
THRESHOLDS = tuple(round(0.035 + 0.04 * step, 3) for step in range(24))
DECIDED_AT = (0.3, 0.45, 0.6)


class Scene(NamedTuple):
    """Clips with reference events (clip, tag, onset, offset) and scores, a list of (frame, tag) by clip."""

    hop_s: float
    duration_s: list[float]
    events: list[tuple[int, int, float, float]]
    scores: list[np.ndarray]

    def edges_s(self, clip: int) -> np.ndarray:
        """Where frames begin; the last one ends with the clip."""
        return np.append(np.arange(len(self.scores[clip])) * self.hop_s, self.duration_s[clip])

    def decided(self, threshold: float) -> list[tuple[int, int, float, float]]:
        """Runs of frames over a threshold."""
        events = []
        for clip, scores in enumerate(self.scores):
            edges = self.edges_s(clip)
            on = np.zeros((len(scores) + 2, len(TAGS)), int)
            on[1:-1] = scores > threshold
            for tag in range(len(TAGS)):
                edge = np.flatnonzero(np.diff(on[:, tag]))
                events += [(clip, tag, edges[a], edges[b]) for a, b in zip(edge[::2], edge[1::2], strict=True)]
        return events


def uniform(name: str, count: int) -> np.ndarray:
    """Numbers in [0, 1) that depend on a name and their place only, the same on every machine."""
    word = np.arange(count, dtype=np.uint64) + np.uint64(zlib.crc32(name.encode())) * np.uint64(2**32 + 1)
    for shift in (30, 27, 31):
        word = (word ^ (word >> np.uint64(shift))) * np.uint64(0xBF58476D1CE4E5B9)
    return (word >> np.uint64(11)).astype(np.float64) / 2**53


def reference_events(name: str, clip: int, duration_s: float, grid_s: float) -> list[tuple[int, int, float, float]]:
    """Up to five events of some tags on a grid of times, none touching another of its tag; some clips have none."""
    events = []
    for tag in range(len(TAGS)):
        draws = uniform(f"{name} {clip} {tag}", 11)
        count, now = int(draws[0] * 8) - 2, 0.1
        for event in range(min(count, 5)):
            onset = now + 1.2 * draws[1 + 2 * event] ** 2
            offset = onset + 0.1 + 2.5 * draws[2 + 2 * event] ** 3
            on, off = (round(round(time / grid_s) * grid_s, 3) for time in (onset, offset))
            if off >= duration_s:
                break
            events.append((clip, tag, on, off))
            now = off + 0.1
    return events


def scene(name: str) -> Scene:
    """`grid`: everything on multiples of 50 ms, scores in hundredths. `free`: nothing in common."""
    hop_s, grid_s, decimals = (0.05, 0.05, 2) if name == "grid" else (8 * 431 / 44100, 0.001, 7)
    durations, events, scores = [], [], []
    for clip in range(16):
        duration = 10.0 if clip % 4 else 4.0 + (1.0 if name == "grid" else 0.437) * (clip // 4)
        num_frames = int(duration / hop_s + 1e-9)
        durations.append(duration)
        events += reference_events(name, clip, duration, grid_s)
        noise = uniform(f"{name} scores {clip}", 2 * (num_frames + 4) * len(TAGS)).reshape(2, -1, len(TAGS))
        smooth = (noise[0, 4:] + noise[0, 3:-1] + noise[0, 2:-2] + noise[0, 1:-3] + noise[0, :-4]) / 5
        middle = (np.arange(num_frames) + 0.5) * hop_s
        for _, tag, onset, offset in (event for event in events if event[0] == clip):
            late = 0.3 * (noise[1, int(onset), tag] - 0.5)
            smooth[(middle > onset + late) & (middle < offset + late), tag] += 0.5 * noise[1, int(offset), 0]
        scores.append(np.round(np.minimum(0.7 * smooth, 1.0), decimals))
    return Scene(hop_s, durations, events, scores)


def name_of(clip: int) -> str:
    """A clip's name."""
    return f"{clip:02d}.wav"


def by_clip(made: Scene, events: list[tuple[int, int, float, float]]) -> dict:
    """Events as sed_scores_eval takes them."""
    listed = {name_of(clip): [] for clip in range(len(made.duration_s))}
    for clip, tag, onset, offset in events:
        listed[name_of(clip)].append((onset, offset, TAGS[tag]))
    return listed


def from_sed_scores_eval(made: Scene) -> dict:
    """Curves, best F1 and PSDS from scores."""
    from sed_scores_eval import collar_based, intersection_based, segment_based
    from sed_scores_eval.base_modules.scores import create_score_dataframe

    truth = by_clip(made, made.events)
    durations = {name_of(clip): duration for clip, duration in enumerate(made.duration_s)}
    scores = {
        name_of(clip): create_score_dataframe(of_clip, made.edges_s(clip), list(TAGS))
        for clip, of_clip in enumerate(made.scores)
    }
    record = {"collar": [], "segment": [], "intersection": [], "psds": []}
    for onset, offset, share in COLLARS:
        arguments = {"onset_collar": onset, "offset_collar": offset, "offset_collar_rate": share}
        record["collar"].append(described(collar_based, scores, truth, arguments))
    for length in SEGMENTS_S:
        arguments = {"audio_durations": durations, "segment_length": length}
        record["segment"].append(described(segment_based, scores, truth, arguments))
    for dtc, gtc in ((0.7, 0.7), (0.1, 0.1)):
        arguments = {"dtc_threshold": dtc, "gtc_threshold": gtc}
        record["intersection"].append(described(intersection_based, scores, truth, arguments))
    for dtc, gtc, cttc, alpha_ct, alpha_st, e_max, unit in PSDS:
        value, single, *_ = intersection_based.psds(
            scores, truth, durations, dtc_threshold=dtc, gtc_threshold=gtc, cttc_threshold=cttc, alpha_ct=alpha_ct,
            alpha_st=alpha_st, max_efpr=e_max, unit_of_time=unit,
        )  # fmt: skip
        record["psds"].append({"value": float(value), "by_tag": [float(single[tag]) for tag in TAGS]})
    return record


def described(module, scores: dict, truth: dict, arguments: dict) -> dict:
    """Counts (tag, threshold) of true and false positives at THRESHOLDS, and each tag's best F1 and its threshold."""
    curves = module.fscore_curve(scores, truth, **arguments)
    best, _, _, at, _ = module.best_fscore(scores, truth, **arguments)
    counts = {"tps": [], "fps": []}
    for tag in TAGS:
        *_, score, stats = curves[tag]
        points = np.searchsorted(score, THRESHOLDS, "right")
        for name, rows in counts.items():
            rows.append([int(stats[name][point]) for point in points])
    return {**counts, "best": [float(best[tag]) for tag in TAGS], "at": [float(at[tag]) for tag in TAGS]}


def from_sed_eval(made: Scene) -> dict:
    """Counts (tag) and F1 of decisions, by collar and by segment."""
    import sed_eval

    def rows(events: list[tuple[int, int, float, float]], clip: int) -> list[dict]:
        return [
            {"file": name_of(at), "event_label": TAGS[tag], "event_onset": float(on), "event_offset": float(off)}
            for at, tag, on, off in events
            if at == clip
        ]

    record = {}
    for threshold in DECIDED_AT:
        decided = made.decided(threshold)
        metrics = {
            f"collar {onset} {share} {with_offset}": sed_eval.sound_event.EventBasedMetrics(
                list(TAGS), t_collar=onset, percentage_of_length=share, evaluate_offset=with_offset
            )
            for onset, _, share in COLLARS[:2]
            for with_offset in (True, False)
        }
        metrics |= {
            f"segment {length}": sed_eval.sound_event.SegmentBasedMetrics(list(TAGS), time_resolution=length)
            for length in SEGMENTS_S
        }
        for clip, duration in enumerate(made.duration_s):
            for name, metric in metrics.items():
                length = {"evaluated_length_seconds": duration} if name.startswith("segment") else {}
                metric.evaluate(rows(made.events, clip), rows(decided, clip), **length)
        for name, metric in metrics.items():
            counts = [metric.class_wise[tag] for tag in TAGS]
            found = metric.results_class_wise_average_metrics()["f_measure"]["f_measure"]
            table = [[int(count[field]) for count in counts] for field in ("Nref", "Nsys", "Ntp")]
            record[f"{threshold} {name}"] = {"counts": table, "macro_f1": float(found)}
    return record


def from_psds_eval(made: Scene) -> dict:
    """PSDS from the decisions at THRESHOLDS, and the macro F1 of one decision."""
    import pandas
    from psds_eval import PSDSEval

    def table(events: list[tuple[int, int, float, float]]) -> pandas.DataFrame:
        rows = [(name_of(clip), on, off, TAGS[tag]) for clip, tag, on, off in events]
        return pandas.DataFrame(rows, columns=["filename", "onset", "offset", "event_label"])

    durations = [(name_of(clip), duration) for clip, duration in enumerate(made.duration_s)]
    record = {"psds": [], "macro_f1": []}
    for dtc, gtc, cttc, alpha_ct, alpha_st, e_max, unit in PSDS:
        peer = PSDSEval(
            ground_truth=table(made.events), metadata=pandas.DataFrame(durations, columns=["filename", "duration"]),
            dtc_threshold=dtc, gtc_threshold=gtc, cttc_threshold=cttc or 0.3, duration_unit=unit,
        )  # fmt: skip
        for threshold in THRESHOLDS:
            peer.add_operating_point(table(made.decided(threshold)))
        record["psds"].append(float(peer.psds(alpha_ct, alpha_st, e_max).value))
        record["macro_f1"].append(float(peer.compute_macro_f_score(table(made.decided(DECIDED_AT[1])))[0]))
    return record


def main() -> None:
    """Writes the golden file beside this script."""
    warnings.simplefilter("ignore")
    made = {name: scene(name) for name in ("grid", "free")}
    record = {"sed_scores_eval": {name: from_sed_scores_eval(one) for name, one in made.items()}}
    # These two compare floats, so times that lie exactly on a criterion fall on either side of it.
    record |= {"sed_eval": from_sed_eval(made["free"]), "psds_eval": from_psds_eval(made["free"])}
    text = json.dumps(record, separators=(",", ":")).replace('"tps"', '\n"tps"').replace('},"', '},\n"')
    Path(__file__).with_name("event_metrics.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
