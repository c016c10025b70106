"""Figures as data: any stage may write `figures/NAME.json`; `earmark.reports` is the one renderer of all kinds."""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from earmark.files import write_text

Number = float | None
Cell = str | float | int | None
"""Of a table: text or a number; None is empty."""


class Series(BaseModel):
    """One line, set of bars or set of points."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    label: str
    x: list[float] | list[str] = Field(description="positions, or category names for bars")
    y: list[Number] = Field(description="values; null leaves a gap")
    low: list[Number] | None = Field(default=None, description="lower end of each value's interval")
    high: list[Number] | None = Field(default=None, description="upper end of each value's interval")
    reference: bool = Field(default=False, description="what the others are held against; drawn in a neutral colour")
    thin: bool = Field(default=False, description="one of many beside the main ones; a thin line")

    @model_validator(mode="after")
    def _same_lengths(self) -> "Series":
        lengths = {len(v) for v in (self.x, self.y, self.low, self.high) if v is not None}
        if len(lengths) != 1:
            raise ValueError(f'series "{self.label}" must have as many x as y, low and high, got {sorted(lengths)}')
        return self


class _Figure(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    title: str
    caption: str = Field(description="what is shown, of how many clips, from which split; what to notice")
    alt: str = Field(description="the figure in words, for those who cannot see it")
    section: str = Field(default="", description="heading of the part of a page that it stands in; empty: any")
    place: int = Field(default=0, description="among the figures of a page, the lowest first; equal ones by name")


class ChartFigure(_Figure):
    """Lines, bars or points over two axes."""

    kind: Literal["line", "bar", "scatter"]
    x_label: str
    y_label: str
    x_unit: str = ""
    y_unit: str = ""
    x_log: bool = Field(
        default=False, description="of lines and points: a logarithmic axis, which leaves out what is not above 0"
    )
    y_log: bool = Field(default=False, description="the same of the values")
    series: list[Series]


class TableFigure(_Figure):
    """Rows and columns; cells are text or numbers."""

    kind: Literal["table"] = "table"
    columns: list[str]
    rows: list[list[Cell]]


class Event(BaseModel):
    """A tag with onset and offset in seconds from the clip's start."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    tag: str
    onset: float
    offset: float


class ClipFigure(_Figure):
    """A clip to look at and listen to: its log-mel, curves above it, events below it."""

    kind: Literal["clip"] = "clip"
    clip: str
    duration_s: float
    log_mel: list[list[int]] = Field(description="(mel, frame), 0 to 255, lowest mel first")
    curves: list[Series] = Field(default=[], description="scores over time in seconds")
    threshold: float | None = Field(default=None, description="the score from which a tag is there; a line")
    reference: list[Event] = []
    estimated: list[Event] = []
    reference_name: str = Field(default="reference", description="what a legend calls the filled bars")
    estimated_name: str = Field(default="found", description="and the outlined ones")
    audio: str | None = Field(default=None, description="MP3 as base64, mono")


Figure = Annotated[ChartFigure | TableFigure | ClipFigure, Field(discriminator="kind")]


class _Holder(BaseModel):
    figure: Figure


def write_figure(folder: Path, name: str, figure: ChartFigure | TableFigure | ClipFigure) -> Path:
    """Writes `folder/NAME.json`, whole or not at all, and returns its path."""
    path = folder / f"{name}.json"
    write_text(path, figure.model_dump_json(indent=1) + "\n")
    return path


def read_figure(path: Path) -> ChartFigure | TableFigure | ClipFigure:
    """Reads a figure that any stage wrote."""
    return _Holder.model_validate({"figure": json.loads(path.read_text("utf-8"))}).figure
