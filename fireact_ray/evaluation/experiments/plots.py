"""A figure as an SVG whose colours are those of the page that it stands in: dark on light, or light on dark.

matplotlib draws in marked colours, which are then replaced by CSS variables; texts stay texts.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape
from typing import Any

from fireact_ray.evaluation.experiments.shown import Figure, Point

N_COLOURS = 6  # --series-0 ... of the page
_INK, _GRID = "#010203", "#040506"
_MARKED = tuple(f"#0a0b{number:02x}" for number in range(N_COLOURS))
_VARIABLES = {_INK: "var(--ink)", _GRID: "var(--rule)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(_MARKED)
}
_MARKERS, _DASHES = "os^Dv*", ("-", "--", "-.", ":")  # told apart without colours, too
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fireact",  # the same figure makes the same file
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _GRID,
}


def svg_of(figure: Figure, number: int) -> str:
    """`number`: of the figure in its page; ids within the SVG are its own."""
    import matplotlib
    from matplotlib.figure import Figure as Canvas  # not pyplot, which looks for a screen and keeps figures alive

    with matplotlib.rc_context(_STYLE):
        canvas = Canvas(figsize=_size(figure), layout="constrained")
        axes = canvas.add_subplot(xlabel=figure.x, ylabel=figure.y)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x" if figure.kind == "bars" else "y", linewidth=0.8)
        axes.set_axisbelow(True)
        {"curve": _curves, "bars": _bars, "histogram": _histogram}[figure.kind](axes, figure)
        if len(figure.series) > 1:
            canvas.legend(loc="outside lower center", ncols=1 if len(figure.series) > 2 else 2, frameon=False)
        drawn = io.StringIO()
        canvas.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _in_page(drawn.getvalue(), figure.title, number)


def _size(figure: Figure) -> tuple[float, float]:
    """Inches. Bars lie, so that names can be read; a line of the legend takes a quarter of an inch."""
    n_bars = sum(len(series.points) for series in figure.series) if figure.kind == "bars" else 0
    legend = 0.22 * len(figure.series) if len(figure.series) > 1 else 0.0
    return 5.0, (max(1.6, 0.34 * n_bars + 0.9) if n_bars else 3.0) + legend


def _curves(axes: Any, figure: Figure) -> None:
    for number, series in enumerate(figure.series):
        xs, ys = [float(point.x) for point in series.points], [point.y for point in series.points]
        has_intervals = any(point.low is not None for point in series.points)
        axes.errorbar(
            xs,
            ys,
            yerr=_errors(series.points) if has_intervals else None,
            color=_MARKED[number % N_COLOURS],
            marker=_MARKERS[number % len(_MARKERS)] if has_intervals else None,
            linestyle=_DASHES[number % len(_DASHES)],
            capsize=3,
            label=series.name,
        )
    axes.set_ylim(bottom=0)


def _bars(axes: Any, figure: Figure) -> None:
    names = list(dict.fromkeys(str(point.x) for series in figure.series for point in series.points))
    width = 0.8 / max(1, len(figure.series))
    for number, series in enumerate(figure.series):
        places = [
            names.index(str(point.x)) + width * (number - (len(figure.series) - 1) / 2) for point in series.points
        ]
        axes.barh(
            places,
            [point.y for point in series.points],
            height=0.92 * width,
            xerr=_errors(series.points),
            color=_MARKED[number % N_COLOURS],
            ecolor=_INK,
            capsize=2,
            label=series.name,
        )
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel(figure.y)
    axes.set_ylabel(figure.x)


def _histogram(axes: Any, figure: Figure) -> None:
    width = 0.85 / max(1, len(figure.series))
    for number, series in enumerate(figure.series):
        shift = width * (number - (len(figure.series) - 1) / 2)
        axes.bar(
            [float(point.x) + shift for point in series.points],
            [point.y for point in series.points],
            width=0.95 * width,
            color=_MARKED[number % N_COLOURS],
            label=series.name,
        )
    axes.xaxis.get_major_locator().set_params(integer=True)


def _errors(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """Down and up; none where no interval is known."""
    down = [point.y - point.low if point.low is not None else 0.0 for point in points]
    up = [point.high - point.y if point.high is not None else 0.0 for point in points]
    return [max(0.0, each) for each in down], [max(0.0, each) for each in up]


def _in_page(svg: str, title: str, number: int) -> str:
    """The element alone, as wide as there is room, with a title for those who cannot see it."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        element = element.replace(colour, variable)
    element = re.sub(r'\bid="', f'id="f{number}-', element)
    element = re.sub(r'(href="#|url\(#)', rf"\g<1>f{number}-", element)
    head = f'<svg role="img" aria-label="{escape(title)}"'
    return re.sub(
        r'^<svg ([^>]*?)width="[^"]*"', rf"{head} \1", re.sub(r'^(<svg [^>]*?)height="[^"]*" ?', r"\1", element)
    )
