"""The settings of `mix`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from earmark.config import Settings


class MixSettings(Settings):
    """What soundscapes are made, from which sounds, and how loud."""

    num_clips: int = Field(1000, ge=1, description="soundscapes in all")
    validation_share: float = Field(0.2, ge=0, le=1, description="share of the soundscapes, and of groups where drawn")
    test_share: float = Field(0.2, ge=0, le=1, description="share of the soundscapes, and of groups where drawn")
    clip_s: float = Field(10.0, ge=1, le=3600, description="length of a soundscape")
    rate_hz: int = Field(32000, ge=4000, le=192000, description="sampling rate of the soundscapes")
    min_events: int = Field(1, ge=0, description="sounds placed in a soundscape, at least")
    max_events: int = Field(4, ge=0, description="sounds placed in a soundscape, at most; drawn uniformly")
    min_event_s: float = Field(0.1, ge=0, description="a recording that is active for less is passed over")
    max_event_s: float = Field(
        5.0, ge=0.5, description="a longer active stretch is cut at a random place; clip_s at most"
    )
    min_snr_db: float = Field(6.0, ge=-60, le=60, description="level of a sound above background_db, at least")
    max_snr_db: float = Field(30.0, ge=-60, le=60, description="level of a sound above background_db, at most")
    max_overlap: int = Field(2, ge=1, description="sounds at once, at most; 1: none overlap")
    background: Literal["pink", "none"] = Field(
        "pink", description="pink noise or none; a data set of backgrounds takes its place"
    )
    background_db: float = Field(-55.0, ge=-90, le=0, description="RMS level of the background, dB of full scale")
    fade_s: float = Field(0.01, ge=0, le=0.1, description="fade in and out of every sound")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("events", "event_s", "snr_db"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if low > high:
                raise ValueError(f"min_{name} must be at most max_{name}, got {low:g} and {high:g}")
        if self.validation_share + self.test_share > 1:
            raise ValueError(
                f"validation_share and test_share must be at most 1 together, got {self.validation_share} and "
                f"{self.test_share}"
            )
        return self
