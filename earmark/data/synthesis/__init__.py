"""Data sets whose truth is known: soundscapes mixed from recordings, and faults planted in true labels."""

from earmark.data.synthesis.corrupt_summary import CorruptSummary
from earmark.data.synthesis.corruption import corrupt
from earmark.data.synthesis.mix_record import MixSummary
from earmark.data.synthesis.mixing import mix
from earmark.data.synthesis.planting import CorruptSettings
from earmark.data.synthesis.soundscape import MixSettings

__all__ = ["CorruptSettings", "CorruptSummary", "MixSettings", "MixSummary", "corrupt", "mix"]
