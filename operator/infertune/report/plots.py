"""Plots as SVG that takes its colours from the page, so that light and dark are one file.

Role: lines, bars and ranges with units, drawn by matplotlib. Must not know: probes, tunings.
Trade-off: every colour is drawn as a code word and replaced by a CSS variable afterwards, because
matplotlib cannot write one; the same values give the same bytes.
"""

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from infertune_probes.contract.terminal import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _SOFT, _GRID, _LIMIT = "#010001", "#010002", "#010003", "#010004"
_SERIES = ("#010011", "#010012", "#010013", "#010014", "#010015", "#010016")
_VARIABLES = {
    _INK: "var(--ink)",
    _SOFT: "var(--soft)",
    _GRID: "var(--grid)",
    _LIMIT: "var(--fail)",
    **{colour: f"var(--s{number})" for number, colour in enumerate(_SERIES, 1)},
}
_MARKERS = "os^Dv*"
# A phone is some 360 CSS pixels wide: at this width the letters keep their size there.
_WIDTH_INCHES, _HEIGHT_INCHES = 5.2, 3.0
_BAR_INCHES = 0.28
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "infertune",
    "font.size": 9.0,
    "font.family": "sans-serif",
    "axes.edgecolor": _SOFT,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "legend.frameon": False,
    "legend.labelcolor": _INK,
    "text.color": _INK,
}


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one line; ``low`` and ``high`` are the ends of each point's range, when known."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows, with its unit; ``powers``: it is logarithmic in powers of two."""

    label: str
    powers: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """A horizontal line that means something: a promise, a peak; ``of``: of this series alone."""

    value: float
    name: str
    of: int | None = None


def lines(
    title: str, series: Sequence[Series], x: Axis, y: Axis, limits: Sequence[Limit] = ()
) -> str:
    """Return lines with markers, so that they differ without colour too; y begins at zero."""
    with _canvas(title, _HEIGHT_INCHES) as (axes, finish):
        for number, one in enumerate(series):
            colour = _SERIES[number % len(_SERIES)]
            mark = _MARKERS[number % len(_MARKERS)]
            if one.low and one.high:
                axes.fill_between(one.x, one.low, one.high, color=colour, alpha=0.18, linewidth=0)
            axes.plot(one.x, one.y, color=colour, marker=mark, markersize=4, label=one.name)
        for limit in limits:
            colour = _LIMIT if limit.of is None else _SERIES[limit.of % len(_SERIES)]
            axes.axhline(limit.value, color=colour, linestyle="--", linewidth=1, label=limit.name)
        if x.powers:
            axes.set_xscale("log", base=2)
            ticks = sorted({value for one in series for value in one.x})
            axes.set_xticks(ticks, [f"{value:g}" for value in ticks])
            axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel(x.label)
        axes.set_ylabel(y.label)
        if len(series) + len(limits) > 1:
            axes.legend(loc="best", fontsize=8)
        return finish()


def bars(title: str, names: Sequence[str], values: Sequence[float], label: str) -> str:
    """Return one horizontal bar for each name, the first on top, with its value beside it."""
    height = max(1.2, 0.7 + _BAR_INCHES * len(names))
    with _canvas(title, height) as (axes, finish):
        places = range(len(names))
        axes.barh(places, values, color=_SERIES[0], height=0.65)
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(label)
        axes.margins(x=0.15)
        if not any(values):
            # Otherwise nothing but zeros is drawn around a negative start.
            axes.set_xlim(0, 1)
        for place, value in zip(places, values, strict=True):
            # Beside the bar: three points to the right of its end.
            axes.annotate(
                number(value),
                (value, place),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        return finish()


@contextmanager
def _canvas(title: str, height_inches: float) -> "Iterator[tuple[Axes, Callable[[], str]]]":
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH_INCHES, height_inches), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.set_title(title, loc="left", fontsize=10)

        def finish() -> str:
            text = io.StringIO()
            figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
            return _for_a_page(text.getvalue(), title)

        yield axes, finish


def _for_a_page(svg: str, title: str) -> str:
    """Return the element alone: no prologue, no fixed size, colours of the page, a spoken name."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r' (?:width|height)="[0-9.]+pt"', "", element, count=2)
    for colour, variable in _VARIABLES.items():
        element = element.replace(colour, variable)
    return element.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)
