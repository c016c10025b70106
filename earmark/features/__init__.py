"""Waveforms to log-mel features: the settings of a front end, the front end, and clips of one number of frames."""

from earmark.features.clip_frames import ClipFrames, fit_frames
from earmark.features.front_end import PRESETS, FrontEnd, mel_filters
from earmark.features.log_mel import LogMel, normalisation_from

__all__ = ["PRESETS", "ClipFrames", "FrontEnd", "LogMel", "fit_frames", "mel_filters", "normalisation_from"]
