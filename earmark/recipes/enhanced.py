"""Labels enhanced by teachers that never saw the clips they speak of."""

import logging
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from earmark.config import Settings, refuse_unread, values_of
from earmark.data.ontology import audioset_ontology
from earmark.recipes.job import Job
from earmark.recipes.out_of_fold import out_of_fold_scores
from earmark.relabel.enhanced_layer import Ancestors, add_enhanced_layer
from earmark.relabel.ontology import Threshold, Types

log = logging.getLogger(__name__)


class Enhancing(Settings):
    """Which tags the ontology adds before training."""

    enhance: Types | Literal["none"] = Field(
        "none", description="add missing children (type_1), ancestors (type_2), both or none, by out-of-fold teachers"
    )
    enhance_threshold: Threshold = Field("mean", description="of a tag's scores: the mean, or the 5th ... percentile")
    enhance_ancestors: Ancestors = Field("all", description="type 2 looks at all, parents_only or stop_at_abstract")
    teacher_folds: int = Field(4, ge=2, description="teachers, each trained without one fold of the clips")

    @model_validator(mode="after")
    def _are_read(self) -> Self:
        names = ("enhance_threshold", "enhance_ancestors", "teacher_folds")
        refuse_unread(self, self.enhance != "none", "enhance", *names)
        return self


def enhanced_layer(job: Job[Any], settings: Enhancing) -> str:
    """The name of the layer to learn from: the teachers' scores and AudioSet's ontology add to the labels asked for.

    The layer is called after the run. One that is there already was written before the run was stopped.
    """
    assert settings.enhance != "none"
    request = job.request
    name = f"{request.run.resolve().name}-enhanced"
    if name in request.dataset.layers() and request.resume:
        return name
    teachers = job.train_with(values_of(Enhancing()))
    store = out_of_fold_scores(teachers, request, job.splits, settings.teacher_folds, request.run / "teacher")
    found, unknown = add_enhanced_layer(
        request.dataset,
        store,
        audioset_ontology(),
        name,
        parent=request.layer,
        types=settings.enhance,
        threshold=settings.enhance_threshold,
        ancestors=settings.enhance_ancestors,
        written_by=str(request.run),
    )
    log.info("label layer %s: %s", name, ", ".join(f"{key} {value}" for key, value in found.changes().items()))
    if unknown:
        log.info("tags without a node, left as they are: %d", len(unknown))
    return name
