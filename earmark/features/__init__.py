"""Waveforms to log-mel features: the settings of a front end, and the front end."""

from earmark.features.front_end import PRESETS, FrontEnd, mel_filters
from earmark.features.log_mel import LogMel, normalisation_from

__all__ = ["PRESETS", "FrontEnd", "LogMel", "mel_filters", "normalisation_from"]
