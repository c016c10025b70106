"""Data sets whose truth is known: soundscapes mixed from recordings, and faults planted in true labels."""

from earmark.data.synthesis.corruption import CorruptSettings, CorruptSummary, corrupt
from earmark.data.synthesis.mix_settings import MixSettings
from earmark.data.synthesis.mixing import MixSummary, mix

__all__ = ["CorruptSettings", "CorruptSummary", "MixSettings", "MixSummary", "corrupt", "mix"]
