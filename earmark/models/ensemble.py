"""Several taggers as one model: it scores the mean of their scores, and is a model folder like any other.

The folder holds `config.json` (how scores are averaged, the members in their order) and one model folder a member.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, ValidationError
from torch import nn

from earmark.config import Settings
from earmark.errors import InputError, first_few
from earmark.files import digest_of, write_json, write_text
from earmark.models.settings import TaggerConfig
from earmark.models.tagger import Scores, Tagger, is_ensemble, load_model, model_folder, read_config, save_model
from earmark.tensor_files import load_tensors, load_weights, read_about

GEOMETRIC_FLOOR = 1e-6

Mean = Literal["arithmetic", "geometric"]


class _Members(Settings):
    """What `config.json` of an ensemble says under "ensemble"."""

    mean: Mean
    members: tuple[str, ...] = Field(min_length=1)


class EnsembleFile(Settings):
    """`config.json` of an ensemble."""

    format_version: Literal[1] = 1
    ensemble: _Members


class Ensemble(nn.Module):
    """Taggers of one vocabulary, sample rate and time grid, used as one.

    Args:
        mean: of the scores; geometric is that of max(score, 1e-6).

    Raises:
        InputError: the members differ in what they must share.

    Source: Gong et al. 2021 (arithmetic), He et al. 2020 (geometric).
    """

    def __init__(self, members: Sequence[Tagger], mean: Mean = "arithmetic") -> None:
        super().__init__()
        for number, member in enumerate(members[1:], start=2):
            _check_alike(members[0], member, number)
        self.members = nn.ModuleList(members)
        self.mean: Mean = mean

    @property
    def taggers(self) -> list[Tagger]:
        """The members."""
        return [member for member in self.members if isinstance(member, Tagger)]

    @property
    def config(self) -> TaggerConfig:
        """The first member's, trained on what all members say alike."""
        configs = [tagger.config for tagger in self.taggers]
        alike = {
            key: value
            for key, value in configs[0].trained_on.items()
            if all(config.trained_on.get(key) == value for config in configs)
        }
        longest_s = max((config.training_length_s or 0 for config in configs), default=0) or None
        # Each member scales its own scores; their mean is not scaled again.
        changes = {"trained_on": alike, "thresholds": None, "score_range": None, "training_length_s": longest_s}
        return configs[0].model_copy(update=changes)

    def trained_on(self) -> list[dict[str, Any]]:
        """What each member was trained on."""
        return [tagger.config.trained_on for tagger in self.taggers]

    @property
    def rate_hz(self) -> int:
        """The sample rate of the waveforms."""
        return self.taggers[0].rate_hz

    def padded_samples(self, num_samples: int) -> int:
        """The waveform length that a clip of `num_samples` is padded or cut to: the longest of the members'."""
        return max(tagger.padded_samples(num_samples) for tagger in self.taggers)

    def forward(self, waveform: torch.Tensor, num_samples: torch.Tensor | None = None) -> Scores:
        """The mean of the members' scores of waveforms (clip, sample)."""
        said = [tagger(waveform, num_samples) for tagger in self.taggers]
        return Scores(self._mean([s.framewise for s in said]), self._mean([s.clipwise for s in said]))

    def scores_and_embedding(
        self, waveform: torch.Tensor, num_samples: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean clipwise scores (clip, tag), and the members' mean embeddings one after another (clip, channels)."""
        said = [tagger.scores_and_embedding(waveform, num_samples) for tagger in self.taggers]
        return self._mean([scores for scores, _ in said]), torch.cat([embedding for _, embedding in said], dim=1)

    def _mean(self, scores: list[torch.Tensor]) -> torch.Tensor:
        if self.mean == "arithmetic":
            return torch.stack(scores).mean(0)
        return torch.stack(scores).clamp(min=GEOMETRIC_FLOOR).log().mean(0).exp()


Model = Tagger | Ensemble


def open_model(folder: Path) -> Model:
    """The tagger or the ensemble of a model folder, or of a run folder's `model`, in eval mode on the CPU.

    Raises:
        InputError: there is no model, or a file of it is damaged, of another model, or lacks or has too much.
    """
    folder = model_folder(folder)
    listed = _ensemble_file(folder)
    if listed is None:
        return load_model(folder)
    return Ensemble([load_model(folder / name) for name in listed.members], listed.mean).eval()


def taggers_of(model: Model) -> list[Tagger]:
    """The tagger, or the members of an ensemble."""
    return model.taggers if isinstance(model, Ensemble) else [model]


def drop_score_range(model: Model) -> None:
    """From now on the model's scores, or its members', are as they are: not scaled by their range on some clips."""
    for tagger in taggers_of(model):
        tagger.config = tagger.config.model_copy(update={"score_range": None})


def records_of(folder: Path) -> list[dict[str, Any]]:
    """What the model of a folder, or each member of an ensemble, was trained on; reads no weights.

    Raises:
        InputError: there is no model.
    """
    folder = model_folder(folder)
    listed = _ensemble_file(folder)
    parts = [folder] if listed is None else [folder / name for name in listed.members]
    return [read_config(part / "config.json").trained_on for part in parts]


def kept_epochs(run: Path) -> dict[int, Path]:
    """The epochs after which a run kept its weights, in their order, and the file of each; reads no weights."""
    told = {path: read_about(path) for path in sorted((run / "checkpoints").glob("step-*.safetensors"))}
    kept = {int(about["epoch"]): path for path, about in told.items() if about["ends_epoch"]}
    return dict(sorted(kept.items()))


def epoch_taggers(run: Path, first_epoch: int = 1) -> list[Tagger]:
    """The taggers that a run was after each epoch from a first one on, as far as their weights were kept.

    Their scores are not scaled: the range of the run's scores is that of its final weights.

    Raises:
        InputError: none was kept; says which setting keeps them. Or the run is of several models.
    """
    if is_ensemble(model_folder(run)):
        raise InputError(f"{run}: is several models, and epochs are of one; name one's run, such as RUN/folds/fold-1")
    paths = [path for epoch, path in kept_epochs(run).items() if epoch >= first_epoch]
    if not paths:
        raise InputError(
            f"{run}: must hold weights of epochs from {first_epoch} on, none were kept; train with --set "
            f"keep_from_epoch={first_epoch}"
        )
    taggers = []
    for path in paths:
        tagger = load_model(run)
        drop_score_range(tagger)
        weights, _ = load_tensors(path)
        load_weights(tagger, weights, str(path))
        taggers.append(tagger)
    return taggers


def save_ensemble(ensemble: Ensemble, folder: Path) -> None:
    """Writes an ensemble's folder, `config.json` last."""
    width = len(str(len(ensemble.taggers)))
    names = tuple(f"member-{number:0{width}d}" for number in range(1, len(ensemble.taggers) + 1))
    for name, tagger in zip(names, ensemble.taggers, strict=True):
        save_model(tagger, folder / name)
    card = [
        "# Audio tagger: an ensemble",
        "",
        f"Scores are the {ensemble.mean} mean of {len(names)} taggers' scores; each member's card says what it is.",
        "",
        *(f"- [{name}]({name}/README.md)" for name in names),
        "",
    ]
    write_text(folder / "README.md", "\n".join(card))
    listed = EnsembleFile(ensemble=_Members(mean=ensemble.mean, members=names))
    write_json(folder / "config.json", listed.model_dump(mode="json"))


def _ensemble_file(folder: Path) -> _Members | None:
    """What the folder's `config.json` says of an ensemble; None where it is a tagger's, or not there."""
    if not is_ensemble(folder):
        return None
    path = folder / "config.json"
    try:
        return EnsembleFile.model_validate_json(path.read_bytes()).ensemble
    except ValidationError as error:
        raise InputError(f"{path}: must be an ensemble's config, {error.errors()[0]['msg']}") from error


def digest_of_model(folder: Path) -> str:
    """A short name of a model by what is in its files: it may be named in more ways than one."""
    folder = model_folder(folder)
    paths = sorted((*folder.rglob("*.safetensors"), *folder.rglob("config.json")))
    return digest_of(*(path.read_bytes() for path in paths))


def _check_alike(first: Tagger, member: Tagger, number: int) -> None:
    ours, theirs = first.config.vocabulary, member.config.vocabulary
    if ours != theirs:
        strange = [tag for tag in (*ours, *theirs) if (tag in ours) != (tag in theirs)]
        what = f"only one of them has {first_few(strange)}" if strange else "their order differs"
        raise InputError(f"members of an ensemble must share their tags: of member {number} and the first {what}")
    for what, ours_is, theirs_is in (
        ("sample rate", f"{first.rate_hz} Hz", f"{member.rate_hz} Hz"),
        ("framing", _framing(first), _framing(member)),
        ("samples a score frame", str(_step_samples(first)), str(_step_samples(member))),
        ("way to score clips", _how_scored(first), _how_scored(member)),
    ):
        if ours_is != theirs_is:
            raise InputError(
                f"members of an ensemble must share their {what}: member {number} has {theirs_is}, the first {ours_is}"
            )


def _framing(tagger: Tagger) -> str:
    """What decides how many score frames a clip has: members that differ in it would not score as they do alone."""
    front_end = tagger.config.front_end
    fixed = f", always {tagger.config.fixed_frames}" if tagger.config.fixed_frames else ""
    clip_frames = tagger.config.clip_frames
    fitted = f", every clip fitted to {clip_frames.num_frames} of them" if clip_frames else ""
    return f"frames of {front_end.window_samples} samples ({front_end.frames}){fixed}{fitted}"


def _step_samples(tagger: Tagger) -> int:
    return tagger.stride_frames * tagger.config.front_end.hop_samples


def _how_scored(tagger: Tagger) -> str:
    return str(tagger.config.chunking or "whole clips")
