"""A self-contained HTML page: what stands on it, and how it becomes text.

Role: the pieces of a page as values, and one template. Must not know: what is reported. Trade-off:
the template is a file of the package and escapes everything but our own plots, so a word from a
foreign pod can never become markup; the page allows no script and no request at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Tone = Literal["pass", "warn", "fail", "unknown", "silent", "soft"]


@dataclass(frozen=True, slots=True)
class Word:
    """A word in the colour of its verdict."""

    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table; numbers are aligned to the right."""

    text: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class PageTable:
    """A table that a reader may fold."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    open: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot as SVG of our own making, with a caption that tells unit, n and what is shown."""

    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class PageFinding:
    """One finding, on every node that has it."""

    tone: Tone
    code: str
    where: str
    sentences: Sequence[str]
    fixes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page; what is empty is not shown."""

    title: str
    words: str = ""
    findings: Sequence[PageFinding] = ()
    plots: Sequence[Plot] = ()
    tables: Sequence[PageTable] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page."""

    title: str
    lead: Sequence[Word]
    sections: Sequence[Section]
    foot: str = ""


def render_page(page: Page) -> str:
    """Return the page as HTML.

    Raises:
        ModuleNotFoundError: the extra ``report`` is not installed.
    """
    # Only who asks for a page needs the template engine.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("infertune.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(page=page)
