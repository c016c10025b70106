"""Figures on a page, within the size that a page may have; and a page of nothing but figures."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from earmark import __version__
from earmark.figures import ClipFigure, write_figure
from earmark.files import write_text
from earmark.reports.numbers_beside import write_numbers
from earmark.reports.render import environment, figure_html
from earmark.reports.run_files import AnyFigure, one_line

MOST_FIGURE_BYTES = 17_000_000  # so that a page stays under 20 MB, which phones still open
MOST_SOUNDS = 40


@dataclass(frozen=True)
class Drawn:
    """Figures as HTML, and a line for each that is not shown."""

    elements: list[Markup]
    lines: list[str]


class Room:
    """What a page may still hold, less what each figure on it has taken."""

    def __init__(self) -> None:
        self.num_bytes, self.num_sounds = MOST_FIGURE_BYTES, MOST_SOUNDS

    def lacks(self, element: Markup, has_sound: bool) -> str:
        """Why a figure has no place any more; where it has one it takes it, and there is no reason."""
        size = len(element.encode())
        if size > self.num_bytes:
            return "the page would grow past 20 MB"
        if has_sound and not self.num_sounds:
            return f"a page has at most {MOST_SOUNDS} sounds"
        self.num_bytes -= size
        self.num_sounds -= has_sound
        return ""


@dataclass(frozen=True)
class Section:
    """A part of a page: figures by name, and lines that say why others are not there."""

    heading: str
    figures: Sequence[tuple[str, AnyFigure]]
    words: str = ""
    lines: list[str] = field(default_factory=list)


def write_figures_page(out: Path, *, kicker: str, title: str, lede: str, sections: Sequence[Section]) -> Path:
    """Writes a page of figures to `out`, beside it their numbers and the figures as data; returns the folder of these.

    The folder is named as the page, with `-figures` in place of its suffix. Figures that an earlier page of the same
    name showed, and this one does not, are removed from it. The numbers are those of `write_numbers`.

    Args:
        kicker: the kind of page, above its title.
        lede: what is shown, in a sentence.
    """
    folder = out.with_name(f"{out.stem}-figures")
    written = {name for section in sections for name, _ in section.figures}
    earlier = _names_shown(out)
    for section in sections:
        for name, figure in section.figures:
            write_figure(folder, name, figure)
    room = Room()
    shown = [(section, _drawn_section(section, room, folder.name)) for section in sections]
    template = environment().get_template("figures.html")
    write_text(out, template.render(kicker=kicker, title=title, lede=lede, sections=shown, version=__version__))
    write_numbers(out, title, lede, [(section.heading, section.figures) for section in sections])
    for name in earlier - written:
        (folder / f"{name}.json").unlink(missing_ok=True)
    return folder


def _names_shown(page: Path) -> set[str]:
    """The figures on a page as it is, by their names: what was put beside it, and nothing that others put there."""
    text = page.read_text("utf-8", "replace") if page.is_file() else ""
    return set(re.findall(r'<figure [^>]*id="figure-([\w-]+)"', text))


def drawn(figures: Sequence[tuple[str, AnyFigure | str]], room: Room, folder: str = "figures") -> Drawn:
    """Figures by name as elements of a page, as many as it may hold; a line stands for a figure that cannot be read.

    Args:
        room: the page's.
        folder: where the figures lie as data, to be named.
    """
    found = Drawn([], [])
    for name, figure in figures:
        if isinstance(figure, str):
            found.lines.append(figure)
            continue
        source = f"{folder}/{name}.json"
        try:
            element = figure_html(figure, name, source)
        except ValueError as error:
            found.lines.append(f"{source} cannot be shown: {one_line(error)}")
            continue
        why_not = room.lacks(element, isinstance(figure, ClipFigure) and figure.audio is not None)
        if why_not:
            found.lines.append(f"{source} is left out, because {why_not}")
        else:
            found.elements.append(element)
    return found


def _drawn_section(section: Section, room: Room, folder: str) -> Drawn:
    found = drawn(section.figures, room, folder)
    return Drawn(found.elements, [*found.lines, *section.lines])
