"""The model card: what a model folder's README.md says."""

from collections.abc import Mapping
from typing import Any

from earmark.data.chunking import Chunking

SCALED = {
    "validation": "0 and 1 are the lowest and the highest that its validation clips got, what is beyond is clipped",
    "test": "0 and 1 are the lowest and the highest that its test clips got, as in papers; it cannot tag recordings",
}


def model_card(config: Mapping[str, Any], num_weights: int) -> str:
    """The card in Markdown, from a tagger's config as plain JSON values.

    What it was trained on is told in `trained_on`; of its entries `dataset` and `licence` are always shown, as unknown
    where nobody said.
    """
    tags, front_end, backbone, head = (config[key] for key in ("vocabulary", "front_end", "backbone", "head"))
    trained_on = {"dataset": "unknown", "licence": "unknown", **config["trained_on"]}
    length = f"fixed {config['fixed_frames']} feature frames" if config["fixed_frames"] else "any, in whole steps"
    if config["clip_frames"]:
        length = f"any, repeated or reduced to feature frames ({_settings(config['clip_frames'])})"
    chunking = config["chunking"] and Chunking.model_validate(config["chunking"])
    trained_length = f"{config['training_length_s']} s" if config["training_length_s"] else "unknown"
    thresholds = config["thresholds"]
    scaled = config["score_range"] and SCALED[config["score_range"]["on"]]
    lines = [
        "# Audio tagger",
        "",
        f"Scores {len(tags)} tags for a waveform at {front_end['rate_hz']} Hz, for whole clips and over time.",
        "",
        "## Model",
        "",
        f"- backbone: {backbone['name']} ({_settings(backbone)})",
        f"- head: {head['name']} ({_settings(head)})",
        f"- parameters: {num_weights / 1e6:.2f} M",
        f"- length: {length}; trained on waveforms of length: {trained_length}",
        f"- a clip's score: {f'the mean of those of its {chunking}' if chunking else 'of all of it at once'}",
        *([f"- scores are scaled tag by tag: {scaled}"] if scaled else []),
        "",
        "## Trained on",
        "",
        *(f"- {key}: {_plain(value)}" for key, value in trained_on.items()),
        "",
        "## Front end",
        "",
        *(f"- {key}: {_plain(value)}" for key, value in front_end.items()),
        "",
        "## Tags",
        "",
        "Thresholds: " + ("one a tag, below." if thresholds else "none were set."),
        "",
        *(f"- {tag}" + (f" ({thresholds[index]:g})" if thresholds else "") for index, tag in enumerate(tags)),
        "",
        "## Limits",
        "",
        "How good the scores are on recordings unlike those it was trained on is unknown until it is evaluated there.",
        *_defined_per_window(front_end, fits_clips=config["clip_frames"] is not None),
        "",
    ]
    return "\n".join(lines)


def _defined_per_window(front_end: Mapping[str, Any], fits_clips: bool) -> list[str]:
    """What scores depend on beside the sound itself, as one line; nothing where there is nothing to say."""
    said = []
    if not fits_clips:
        said.append(
            "Scores over time are defined per window: those of a short recording look at all of it, those of a long "
            "one at the window that they are from."
        )
    if front_end["min_max"]:
        said.append(
            "Features are scaled to the range of each clip or window, so that every score depends on what else lies in "
            "it."
        )
    return [" ".join(said)] if said else []


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_plain(value)}" for key, value in values.items() if key != "name")


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return _settings(value) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value))
    return "none" if value is None else " ".join(str(value).split())
