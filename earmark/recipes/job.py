"""What every recipe is given, and the steps that all share: the split, the pack, the tagger to begin with."""

import functools
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from earmark.config import Settings
from earmark.data.augment import Augmentation
from earmark.data.chunking import Chunking
from earmark.data.clips import Excerpts, IntArray, whole_clips
from earmark.data.dataset import Dataset
from earmark.data.packs import Pack, open_pack
from earmark.data.sampling import Order
from earmark.data.splits import Splits
from earmark.data.statements import COUNTED
from earmark.errors import InputError
from earmark.evaluation import validation_metrics
from earmark.features import PRESETS
from earmark.files import read_json, write_json
from earmark.models.tagger import Tagger, load_model, rebuild_head
from earmark.recipes.parts import ModelSettings, new_tagger
from earmark.scores.scorer import Scorer
from earmark.scores.seen import seen_clips, warn_of_seen
from earmark.training.feed import Feed
from earmark.training.selection import Selection, SelectionSettings
from earmark.training.targets import TargetSource, WeakLabels

log = logging.getLogger(__name__)

SettingsT = TypeVar("SettingsT", bound=Settings)
BoolArray = npt.NDArray[np.bool_]

NO_MODEL = "a recipe without settings of a model must refuse to begin without a given one"


def notes_of(dataset: Dataset) -> list[str]:
    """What was noted of a data set as it was made, by its name."""
    return [f"{dataset.name}: {note}" for note in dataset.about.get("import", {}).get("notes", [])]


@dataclass(frozen=True)
class Request:
    """What a user asked for beside the recipe's settings.

    Attributes:
        run: the run folder.
        layer: the label layer to learn from.
        init: a model to fine-tune.
        teacher: what labels chunks: a model or run folder, a store of chunk scores, or any scorer.
        tag_map: a CSV that says which of the teacher's tags stand for the data set's, see `tag_map`.
        workers: threads that decode; None for one a core.
        splits: the clips to use instead of the data set's own splits, as one fold's model does.
        folds: train so many models, each validated on another fold of the training clips; the model is their mean.
        fold: which of these models a run trains, from 1; `splits` are then that fold's.
        profile: only time some steps of what is trained first, see `run.profile_recipe`.
    """

    dataset: Dataset
    run: Path
    layer: str = "given"
    test_fold: int | None = None
    validation_fold: int | None = None
    init: Path | None = None
    teacher: Path | Scorer | None = None
    tag_map: Path | None = None
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    workers: int | None = None
    resume: bool = False
    splits: Splits | None = None
    folds: int | None = None
    fold: int | None = None
    profile: bool = False


@dataclass(frozen=True)
class Job(Generic[SettingsT]):
    """A request with its settings and splits resolved.

    Attributes:
        teach: trains another run by the same recipe, as a model is trained that is to score clips it has not seen.
        train: trains another run by a recipe of that name, a preset of it or None, and settings.
    """

    request: Request
    settings: SettingsT
    splits: Splits
    teach: Callable[[Request], object]
    train: Callable[[str, Request, str | None, Mapping[str, Any]], object]

    def pack(self, model: ModelSettings | None) -> Pack:
        """The data set's pack at the model's rate, made where it is not there yet.

        Args:
            model: None where there must be a given one.
        """
        if self.given is not None:
            rate_hz = self.given.rate_hz
        else:
            assert model is not None, NO_MODEL
            rate_hz = PRESETS[model.front_end].rate_hz
        return open_pack(self.request.dataset, rate_hz, workers=self.request.workers)

    def training_clips(self, pack: Pack) -> Excerpts:
        """The training split's clips that the pack holds; writes `data.json`, which says what was used."""
        clips = whole_clips(pack, self.splits.train)
        if not len(clips):
            raise InputError(f"{self._split_name('train')} must hold clips that can be read, found none")
        self._write_data(pack)
        return clips

    def weak_labels(self, excerpts: Excerpts) -> WeakLabels:
        """The labels asked for as what excerpts are to score.

        Raises:
            InputError: nothing is known of any of these clips.
        """
        labels = self.request.dataset.labels(self.request.layer)
        if not (labels.clip_weight[excerpts.clip_index] > 0).any():
            raise InputError(
                f"{self._split_name('train')} must hold clips with labels to learn from, {len(excerpts)} were found "
                f'and the layer "{self.request.layer}" knows nothing of any; label some, or learn from a teacher\'s '
                "scores: earmark train psl DATASET --teacher MODEL -o RUN"
            )
        return WeakLabels(labels, excerpts)

    def verified(self) -> BoolArray:
        """Which clips' labels people verified, bool (clip,).

        Raises:
            InputError: the data set says it of no clip.
        """
        dataset = self.request.dataset
        verified: BoolArray = dataset.column("verified") == 1
        if not verified.any():
            raise InputError(
                f"{dataset.folder}: must say which clips' labels people verified, it says so of no clip; import it "
                "with a column verified (a CSV of path,tags,verified with true or false), or train on all labels "
                "alike: earmark train baseline"
            )
        return verified

    def selection(self, settings: SelectionSettings, batch_size: int) -> Selection | None:
        """What drops clips with wrong labels; None where nothing is to be dropped."""
        return Selection(settings, self.verified(), batch_size) if settings.selection != "none" else None

    def validation(self, pack: Pack, among: BoolArray | None = None) -> Callable[[Tagger], dict[str, float]]:
        """What gives the metrics of a tagger on the validation split.

        Args:
            among: the clips whose labels can be relied on, (clip,), used alone where there are any; None: all.
        """
        request = self.request
        rows = whole_clips(pack, self.splits.validation).clip_index
        labels = request.dataset.labels(request.layer)
        if among is not None and among[rows].any():
            rows = rows[among[rows]]
            self.note(f"validation: on the {len(rows)} verified clips of the split")
        elif among is not None and len(rows):
            self.note(f"validation: on all {len(rows)} clips of the split, none of which is verified")
        if not ((labels.rows(rows) >= COUNTED) & (labels.weights(rows) > 0)).any():
            raise InputError(
                f"{self._split_name('validation')} must hold clips with tags that can be read, found none; "
                "name a fold with --validation-fold, or give the clips a split column"
            )
        return lambda tagger: validation_metrics(tagger, request.dataset, pack, rows, request.layer, request.device)

    def tagger(
        self,
        model: ModelSettings | None,
        pack: Pack,
        excerpts: Excerpts,
        length_s: float,
        chunking: Chunking | None = None,
    ) -> Tagger:
        """The tagger to begin with: new as the settings say, or `--init`'s with its own architecture.

        Args:
            model: None where there must be a given one.
            excerpts: what is learned from, by which a new tagger's features are normalised.
            length_s: of a window of a long recording.
            chunking: how clips are to be scored.
        """
        vocabulary = self.request.dataset.vocabulary
        given = self.given
        # Here, so that neither a model that was opened before nor a teacher that was trained changes what is drawn.
        torch.manual_seed(self.request.seed)
        if given is not None:
            tagger = rebuild_head(given, vocabulary)
            log.info("beginning with %s: its front end, backbone and kind of head are kept", self.request.init)
        else:
            assert model is not None, NO_MODEL
            tagger = new_tagger(model, vocabulary, pack, excerpts, length_s, self.request.seed)
        changes = {"training_length_s": length_s, "chunking": chunking, "score_range": None}
        tagger.config = tagger.config.model_copy(update=changes)
        return tagger

    def feed(
        self,
        pack: Pack,
        excerpts: Excerpts,
        targets: TargetSource,
        order: Callable[[int], Order],
        *,
        length_samples: int | None,
        augmentation: Augmentation,
        batch_size: int,
        selection: Selection | None = None,
        repeat_partners: bool = False,
    ) -> Feed:
        """The training set in batches; see `Feed`. With a selection, verified clips are mixed with verified ones."""
        kind = None if selection is None else selection.verified[excerpts.clip_index]
        if kind is not None and kind.all():
            self.note(f"all {len(kind)} training clips are verified: selection drops none")
        return Feed(
            pack=pack,
            excerpts=excerpts,
            targets=targets,
            order=order,
            length_samples=length_samples,
            batch_size=batch_size,
            augmentation=augmentation,
            seed=self.request.seed,
            names=self.request.dataset.clips["clip"],
            kind=kind,
            repeat_partners=repeat_partners,
        )

    @functools.cached_property
    def given(self) -> Tagger | None:
        """The model of `--init`."""
        if self.request.init is None:
            return None
        given = load_model(self.request.init)
        seen = seen_clips(given.trained_on(), self.request.dataset)
        warn_of_seen("the model of --init", seen, self.judged, " that this run validates or tests on")
        return given

    @property
    def judged(self) -> IntArray:
        """The clips that are validated or tested on."""
        return np.union1d(self.splits.validation, self.splits.test)

    def note(self, text: str) -> None:
        """Says something that belongs to the run: in the log, and on its page. After `training_clips`."""
        log.info("%s", text)
        path = self.request.run / "data.json"
        told = read_json(path)
        write_json(path, {**told, "notes": [*(said for said in told["notes"] if said != text), text]})

    def _split_name(self, split: str) -> str:
        return f"the {split} split of {self.request.dataset.name}"

    def _write_data(self, pack: Pack) -> None:
        used = {name: int((pack.num_samples[rows] > 0).sum()) for name, rows in self.splits.by_name().items()}
        # What import saw from outside, packing sees again: each is told once.
        found = dict.fromkeys((*self.request.dataset.problems(), *pack.problems))
        problems = [asdict(problem) for problem in found]
        for note in self.splits.notes:
            log.info("%s", note)
        notes = [*self.splits.notes, *notes_of(self.request.dataset)]
        for (outcome, kind), count in sorted(Counter((p["outcome"], p["kind"]) for p in problems).items()):
            log.info("%s: %d x %s", outcome, count, kind)
        log.info("clips used: %s", ", ".join(f"{name} {count}" for name, count in used.items()))
        write_json(self.request.run / "data.json", {**used, "notes": notes, "problems": problems})
