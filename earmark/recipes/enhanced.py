"""Labels enhanced by teachers that never saw the clips they speak of."""

import logging
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from earmark.config import Settings, refuse_unread, values_of
from earmark.data.layers import about_layer, check_new
from earmark.data.ontology import audioset_ontology
from earmark.files import digest_of
from earmark.recipes.folds import run_name
from earmark.recipes.job import Job
from earmark.recipes.out_of_fold import out_of_fold_scores
from earmark.relabel.enhanced_layer import (
    Ancestors,
    NothingToAddError,
    add_enhanced_layer,
    enhancement_lines,
    known_nodes,
)
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

    The layer is called after the run. One that this very run wrote before it was stopped is used again; where nothing
    is to be added, the labels stay as they are.

    Raises:
        InputError: another run's layer has the name, or no tag has a node; said before any teacher is trained.
    """
    assert settings.enhance != "none"
    request, dataset = job.request, job.request.dataset
    name = f"{run_name(request)}-enhanced"
    asked = digest_of(
        repr((str(request.run.resolve()), values_of(settings), values_of(job.settings), request.seed)).encode(),
        job.splits.digest.encode(),
        dataset.labels(request.layer).digest.encode(),
    )
    if name in dataset.layers() and about_layer(dataset.folder, name).get("changes", {}).get("asked") == asked:
        return name
    check_new(dataset.folder, name, request.layer)
    known_nodes(dataset, audioset_ontology())
    store = out_of_fold_scores(job.teach, request, job.splits, settings.teacher_folds, request.run / "teacher")
    try:
        found, unknown = add_enhanced_layer(
            dataset,
            store,
            audioset_ontology(),
            name,
            parent=request.layer,
            types=settings.enhance,
            threshold=settings.enhance_threshold,
            ancestors=settings.enhance_ancestors,
            written_by=str(request.run),
            about={"asked": asked},
        )
    except NothingToAddError as error:
        log.warning("%s; training on %s", error, request.layer)
        return request.layer
    for line in enhancement_lines(dataset, name, found, unknown):
        log.info("%s", line)
    return name
