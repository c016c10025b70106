"""Rounds of relabelling: a first stage on the labels as given, then rounds that each learn what the last one found."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from pydantic import Field, model_validator

from earmark.config import Settings, refuse_unread
from earmark.data.clips import Excerpts, IntArray
from earmark.data.packs import Pack
from earmark.errors import InputError, counted
from earmark.files import read_json, write_json, written_aside
from earmark.models.tagger import Tagger
from earmark.recipes.folds import run_name
from earmark.recipes.job import Job
from earmark.relabel.class_frames import ACCEPTED, OUTCOMES, pseudo_labels, round_threshold, write_round_layer
from earmark.relabel.round_figures import Round, write_round_figures
from earmark.scores.framewise import framewise_clip_scores
from earmark.training.loop import Part
from earmark.training.targets import Origin

log = logging.getLogger(__name__)

ROUNDS = "rounds"
"""The folder of a run in which it notes what its rounds made of the clips."""


class RoundSettings(Settings):
    """How often the weakly labelled clips are relabelled, and when.

    Source: NEC's report on DCASE 2019 task 4, sections 3.2 to 3.4. How long each stage is and delta are not stated.
    """

    first_epochs: int = Field(10, ge=1, description="epochs on the labels as given, before the first relabelling")
    rounds: int = Field(9, ge=0, description="times that weak clips are relabelled and learned from; 0: never")
    round_epochs: int = Field(3, ge=1, description="epochs of each round")
    delta: float = Field(1 / 16, ge=0, le=0.5, description="what the threshold falls by each round, from 3/4 to 1/4")
    restart: bool = Field(False, description="each round begins with new weights; else with those of the last one")

    @model_validator(mode="after")
    def _are_read(self) -> Self:
        refuse_unread(self, self.rounds > 0, "rounds above 0", "round_epochs", "delta", "restart")
        return self

    @property
    def epochs(self) -> int:
        """The epochs of both stages."""
        return self.first_epochs + self.rounds * self.round_epochs

    def parts(self) -> list[Part]:
        """The first stage's epochs, then each round's."""
        ends = [self.first_epochs + number * self.round_epochs for number in range(self.rounds + 1)]
        return [Part(0, ends[0])] + [Part(end - self.round_epochs, end, afresh=self.restart) for end in ends[1:]]


@dataclass(frozen=True)
class Relabelling:
    """The weakly labelled clips of a run, and the layers that its rounds leave.

    Attributes:
        clips: those that are relabelled.
        prefix: what its layers are called, before the number of the round.
    """

    job: Job[Any]
    pack: Pack
    clips: Excerpts
    settings: RoundSettings
    prefix: str

    def layer(self, number: int) -> str:
        """The layer of a round, counted from 1."""
        return f"{self.prefix}-round-{number:02d}"

    def accepted(self, number: int, tagger: Tagger, is_past: bool) -> IntArray:
        """The rows of the clips that a round accepted; relabels unless this very run has done so before.

        Args:
            tagger: as the part before the round left it.
            is_past: the run has gone on from there already, so that the tagger is a later one.

        Raises:
            InputError: the run has learned from a layer that is no longer there.
        """
        request, dataset, name = self.job.request, self.job.request.dataset, self.layer(number)
        if name not in dataset.layers() or not self._path(number).is_file():
            if is_past:
                raise InputError(
                    f"{request.run} has learned from the label layer {name} of {dataset.folder}, and it is no longer "
                    "there; train anew, into another folder"
                )
            self._relabel(number, tagger)
        outcome = pyarrow.parquet.read_table(self._path(number))
        rows = np.asarray(outcome["row"], dtype=np.int64)
        return np.asarray(rows[np.asarray(outcome["outcome"]) == OUTCOMES[ACCEPTED]])

    def write_figures(self) -> None:
        """Writes the figures of the rounds, and the table of what became of each clip."""
        done = [self._round(number) for number in range(1, self.settings.rounds + 1)]
        write_round_figures(self.job.request.run, self.job.request.dataset, self.job.request.layer, done)

    def _relabel(self, number: int, tagger: Tagger) -> None:
        request, dataset = self.job.request, self.job.request.dataset
        theta = round_threshold(number - 1, self.settings.delta)
        scored = framewise_clip_scores(tagger, self.pack, self.clips.clip_index, device=request.device)
        found = pseudo_labels(scored, dataset.labels(request.layer), theta)
        told = pa.table(
            {
                "row": found.clip_index,
                "clip": dataset.clips["clip"].take(pa.array(found.clip_index)),
                "outcome": pa.array(OUTCOMES).take(pa.array(found.outcome)),
            }
        )
        with written_aside(self._path(number)) as aside:
            pyarrow.parquet.write_table(told, aside)
        write_round_layer(
            dataset,
            self.layer(number),
            found,
            parent=request.layer,
            written_by=str(request.run),
            frame_s=scored.hop_samples / scored.rate_hz,
            about={"round": number},
        )
        log.info(
            "round %d of %d: threshold %.4g, %d of %s accepted",
            number, self.settings.rounds, theta, len(found.accepted), counted(len(found.clip_index), "weak clip"),
        )  # fmt: skip

    def _round(self, number: int) -> Round:
        return Round.read(self.job.request.dataset, self.layer(number), self._path(number))

    def _path(self, number: int) -> Path:
        return self.job.request.run / ROUNDS / f"round-{number:02d}.parquet"


def relabelling(job: Job[Any], pack: Pack, clips: Excerpts, settings: RoundSettings) -> Relabelling:
    """What relabels the weak clips among some; layers have names that were free when the run began.

    Raises:
        InputError: there are rounds, and no weakly labelled clip.
    """
    request, dataset = job.request, job.request.dataset
    weak = clips.at(np.flatnonzero(dataset.column("labelled")[clips.clip_index] == "weak"))
    if settings.rounds and not len(weak):
        raise InputError(
            f"the train split of {dataset.name} must hold weakly labelled clips to relabel, found none; train on the "
            "strong ones alone: --set rounds=0"
        )
    path = request.run / ROUNDS / "layers.json"
    if not path.is_file():
        taken = {name.rpartition("-round-")[0] for name in dataset.layers()}
        names = (run_name(request), *(f"{run_name(request)}-{number}" for number in range(2, len(taken) + 3)))
        write_json(path, {"prefix": next(name for name in names if name not in taken)})
    return Relabelling(job, pack, weak, settings, str(read_json(path)["prefix"]))


def origins(job: Job[Any], accepted: IntArray) -> IntArray:
    """Where each clip's frame labels come from, (clip,): strong labels, pseudo labels in accepted clips, or nowhere."""
    is_strong = job.request.dataset.column("labelled") == "strong"
    origin = np.where(is_strong, int(Origin.LABELS), int(Origin.NONE)).astype(np.int64)
    origin[accepted] = Origin.SCORES
    return origin
