"""PSLA: pretraining, balanced sampling, augmentation, label enhancement by ontology, averaging.

A pretrained network with attention pooling learns from clips drawn with a weight that favours rare tags, mixed and
masked. Where `enhance` asks for it, teachers are trained first, each without one fold; their scores of that fold decide
which tags the ontology adds to its labels. Every technique is a setting, because the paper is an ablation; the presets
hold the paper's numbers. What the paper does not have is `selection`: for noisy labels, see the recipe `staged`.

Source: Gong, Chung and Glass 2021 (IEEE/ACM TASLP 29).
"""

from typing import Literal

from pydantic import Field

from earmark.config import Settings
from earmark.data.augment import Augmentation
from earmark.models.tagger import Tagger
from earmark.recipes.enhanced import Enhancing, enhanced_layer
from earmark.recipes.job import Job
from earmark.recipes.parts import ModelSettings, sampling_order, training_length_s
from earmark.timing import samples_from_seconds
from earmark.training.label_audit import write_label_audit
from earmark.training.loop import fit
from earmark.training.sampling_figures import write_sampling_figures
from earmark.training.schedules import Schedule
from earmark.training.selection import SelectionSettings
from earmark.training.settings import FitSettings
from earmark.training.targets import WeakLabels


class PslaSettings(Settings):
    """Defaults that suit a few hundred to a few thousand clips on a CPU; the presets are the paper's."""

    chunk_s: float | None = Field(
        None, ge=0.1, description="length of a training waveform, seconds; null: the longest training clip, at most 10"
    )
    sampling: Literal["balanced", "shuffled"] = Field(
        "balanced", description="balanced: drawn with replacement, rare tags more often; shuffled: each clip once"
    )
    enhancing: Enhancing = Enhancing()
    selection: SelectionSettings = SelectionSettings()
    model: ModelSettings = ModelSettings(front_end="psla", head="multi_head_attention")
    augmentation: Augmentation = Augmentation(
        mixup_rate=0.5,
        frequency_masks=1,
        frequency_mask_bins=48,
        time_masks=1,
        time_mask_frames=96,
    )
    fit: FitSettings = FitSettings(
        beta1=0.95,
        weight_decay=5e-7,
        final_weights="top_k",
        schedule=Schedule(schedule="cosine", learning_rate=1e-3, warmup_steps=20),
    )


def train(job: Job[PslaSettings]) -> Tagger:
    """The tagger with its final weights: averaged, best or last, as the settings say."""
    request, settings = job.request, job.settings
    selection = job.selection(settings.selection, settings.fit.batch_size)
    pack = job.pack(settings.model)
    clips = job.training_clips(pack)
    length_s = training_length_s(clips, settings.chunk_s, pack.rate_hz)
    layer = request.layer if settings.enhancing.enhance == "none" else enhanced_layer(job, settings.enhancing)
    labels = request.dataset.labels(layer)
    tagger = job.tagger(settings.model, pack, clips, length_s)
    feed = job.feed(
        pack,
        clips,
        WeakLabels(labels, clips),
        sampling_order(settings.sampling, labels, clips, request.seed),
        length_samples=samples_from_seconds(length_s, pack.rate_hz),
        augmentation=settings.augmentation,
        batch_size=settings.fit.batch_size,
        selection=selection,
    )
    epochs, tags = settings.fit.epochs_of(feed.steps_per_epoch), request.dataset.vocabulary.tags
    write_sampling_figures(
        request.run / "figures", tags, labels, clips, feed.order, epochs,
        settings.augmentation, request.seed, feed.kind,
    )  # fmt: skip
    validate = job.validation(pack)
    fit(
        tagger, feed, validate, settings.fit, request.run,
        device=request.device, selection=selection, resume=request.resume, profile=request.profile,
    )  # fmt: skip
    if selection is not None:
        write_label_audit(request.run, request.dataset, layer, selection)
    return tagger
