"""Rounds of relabelling: a first stage on the labels as given, then rounds that each learn what the last one found."""

import itertools
import logging
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from pydantic import Field, model_validator

from earmark.config import Settings, refuse_unread
from earmark.data.clips import Excerpts, IntArray
from earmark.data.layers import about_layer, check_new, read_layer
from earmark.data.packs import Pack
from earmark.data.splits import Splits
from earmark.data.statements import Statements, joined, statements_from
from earmark.errors import InputError, counted
from earmark.files import read_json, write_json, written_aside
from earmark.models.tagger import Tagger
from earmark.recipes.folds import run_name
from earmark.recipes.job import Job, Request
from earmark.relabel.class_frames import OUTCOMES, pseudo_labels, round_threshold, write_round_layer
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

    What layers are called, and the number by which they are known to be this run's, stands in `rounds/layers.json`.

    Attributes:
        clips: those that are relabelled.
    """

    job: Job[Any]
    pack: Pack
    clips: Excerpts
    settings: RoundSettings

    def layer(self, number: int) -> str:
        """The layer of a round, counted from 1."""
        return _layer_name(self._told()["prefix"], number)

    def learned(self, number: int, tagger: Tagger, is_past: bool) -> tuple[IntArray, Statements]:
        """The rows of the clips that a round accepted, and the events that it gives them, by clip.

        Relabels unless this very run has done so before.

        Args:
            tagger: as the part before the round left it.
            is_past: the run has gone on from there already, so that the tagger is a later one.

        Raises:
            InputError: the run has learned from a layer that is no longer there, or another run's has its name.
        """
        request, dataset = self.job.request, self.job.request.dataset
        if not self._is_done(number):
            if is_past:
                raise InputError(
                    f"{request.run} has learned from the label layer {self.layer(number)} of {dataset.folder}, and it "
                    "is no longer there; train anew, into another folder"
                )
            if number == 1 and self.layer(number) in dataset.layers():
                _claim_names(self.job)  # another run has taken the name since this one began
            self._relabel(number, tagger)
        done = self._round(number)
        layer = read_layer(dataset.folder, self.layer(number), dataset.clips, dataset.vocabulary)
        own = statements_from(layer, dataset.clips, dataset.vocabulary)
        return done.rows[done.is_accepted], own.at(own.value > 0)

    def write_figures(self) -> None:
        """Writes the figures of the rounds, and the table of what became of each clip."""
        request = self.job.request
        done = [self._round(number) for number in range(1, self.settings.rounds + 1)]
        write_round_figures(request.run, request.dataset, request.layer, done)

    def _round(self, number: int) -> Round:
        return Round.read(self.job.request.dataset, self.layer(number), self._path(number))

    def _is_done(self, number: int) -> bool:
        """Whether the layer is there, and this run's own; its table was written before it."""
        dataset, name = self.job.request.dataset, self.layer(number)
        if name not in dataset.layers() or not self._path(number).is_file():
            return False
        changes = about_layer(dataset.folder, name).get("changes", {})
        return isinstance(changes, dict) and changes.get("run") == self._told()["run"]

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
            about={"round": number, "run": self._told()["run"]},
        )
        log.info(
            "round %d of %d: threshold %.4g, %d of %s accepted",
            number, self.settings.rounds, theta, len(found.accepted), counted(len(found.clip_index), "weak clip"),
        )  # fmt: skip

    def _told(self) -> dict[str, str]:
        told: dict[str, str] = read_json(_names_path(self.job))
        return told

    def _path(self, number: int) -> Path:
        return self.job.request.run / ROUNDS / f"round-{number:02d}.parquet"


def relabelling(job: Job[Any], pack: Pack, clips: Excerpts, settings: RoundSettings) -> Relabelling:
    """What relabels the weak clips among some; its layers have names that were free when the run began.

    Raises:
        InputError: there are rounds, and layers cannot be written.
    """
    dataset = job.request.dataset
    labels = dataset.folder / "labels"
    if settings.rounds and not os.access(labels, os.W_OK):
        raise InputError(
            f"{labels} must be a folder that can be written to, for class_frame leaves a label layer a round there; "
            "copy the data set's tables elsewhere (the audio may stay), or train with --set rounds=0"
        )
    if settings.rounds and not _names_path(job).is_file():
        _claim_names(job)
    weak = clips.at(np.flatnonzero(dataset.column("labelled")[clips.clip_index] == "weak"))
    return Relabelling(job, pack, weak, settings)


def refuse_kinds(request: Request, splits: Splits, rounds: int) -> None:
    """Raises InputError unless a training split has strongly labelled clips, and, to relabel in rounds, weak ones."""
    labelled = request.dataset.column("labelled")[splits.train]
    where = f"the train split of {request.dataset.name}"
    if not (labelled == "strong").any():
        raise InputError(
            f"{where} must hold strongly labelled clips (events with onset and offset), found none among "
            f"{len(labelled)}; label some with times, or learn from clip labels: earmark train baseline, or psl"
        )
    if rounds and not (labelled == "weak").any():
        raise InputError(
            f"{where} must hold weakly labelled clips to relabel, found none; train on the strong ones alone: --set "
            "rounds=0"
        )


def _claim_names(job: Job[Any]) -> None:
    """Notes names of layers that nobody has, made of the run's: letters, digits and what else names of layers hold."""
    request, dataset = job.request, job.request.dataset
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", run_name(request)).lstrip("_.-")[:80] or "run"
    taken = {layer.rpartition("-round-")[0] for layer in dataset.layers()}
    others = (f"{name}-{number}" for number in itertools.count(2))
    prefix = next(each for each in itertools.chain([name], others) if each not in taken)
    check_new(dataset.folder, _layer_name(prefix, 1), request.layer)
    write_json(_names_path(job), {"prefix": prefix, "run": secrets.token_hex(8)})


def _layer_name(prefix: str, number: int) -> str:
    return f"{prefix}-round-{number:02d}"


def _names_path(job: Job[Any]) -> Path:
    return job.request.run / ROUNDS / "layers.json"


def origins(job: Job[Any], accepted: IntArray | Sequence[int]) -> IntArray:
    """Where each clip's frame labels come from, (clip,): strong labels, pseudo labels in accepted clips, or nowhere."""
    is_strong = job.request.dataset.column("labelled") == "strong"
    origin = np.where(is_strong, int(Origin.LABELS), int(Origin.NONE)).astype(np.int64)
    origin[np.asarray(accepted, np.int64)] = Origin.SCORES
    return origin


def in_place_of(given: Statements, found: Statements, accepted: IntArray) -> Statements:
    """The events to learn from, by clip: in accepted clips those found and no others, elsewhere those given."""
    both = joined([given.at(~np.isin(given.clip_index, accepted)), found])
    return both.at(np.argsort(both.clip_index, kind="stable"))
