"""The weights that a run ends with: the last, the best, or an average of several with statistics of its own."""

import logging

import torch
from torch import nn

from earmark.errors import first_few
from earmark.models.tagger import Tagger
from earmark.tensor_files import load_tensors, load_weights
from earmark.training.checkpoints import average_weights
from earmark.training.feed import Feed
from earmark.training.history import History
from earmark.training.settings import FitSettings
from earmark.training.step import training_output

log = logging.getLogger(__name__)

MAX_REFRESH_BATCHES = 200


def set_final_weights(tagger: Tagger, feed: Feed, history: History, settings: FitSettings) -> None:
    """Loads or averages the kept checkpoints into the tagger, as `final_weights` says."""
    if settings.final_weights == "last":
        return
    paths = history.final_paths(settings)
    if not paths:
        log.warning("final weights: the last, because training ended before epoch %d", settings.average_from_epoch)
        return
    if len(paths) == 1:
        weights, _ = load_tensors(paths[0])
        load_weights(tagger, weights, str(paths[0]))
        return
    load_weights(tagger, average_weights(paths), f"the average of {len(paths)} checkpoints")
    log.info("final weights: average of %d checkpoints (%s)", len(paths), first_few(path.stem for path in paths))
    if settings.refresh_bn:
        refresh_batch_norm(tagger, feed, history.epoch)


def refresh_batch_norm(tagger: Tagger, feed: Feed, epoch: int) -> None:
    """Estimates the statistics of BatchNorms that train afresh: one cumulative pass over at most 200 batches."""
    tagger.train()
    norms = [norm for norm in tagger.modules() if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.training]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative
    with torch.no_grad():
        for _, batch in zip(range(MAX_REFRESH_BATCHES if norms else 0), feed.batches(epoch), strict=False):
            training_output(tagger, batch, "fp32")
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
