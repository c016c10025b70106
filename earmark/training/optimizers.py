"""Optimisers by the names in the settings."""

import torch
from torch import nn

from earmark.training.settings import FitSettings


def build_optimizer(model: nn.Module, settings: FitSettings) -> torch.optim.Optimizer:
    """The optimiser that the settings name, over all parameters that are not frozen."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=0.0, momentum=settings.beta1, weight_decay=settings.weight_decay)
    return torch.optim.Adam(
        parameters, lr=0.0, betas=(settings.beta1, settings.beta2), weight_decay=settings.weight_decay
    )
