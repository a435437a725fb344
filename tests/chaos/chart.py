"""Draws a run: enriched records a second, lag, and the faults, over time. Plain SVG, no library.

Knows samples and journal lines; decides how they look. What lasts is a band, what is over at once a mark.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any
from xml.sax.saxutils import escape

from tests.chaos.watch import Sample

_WIDTH, _LEFT, _RIGHT = 1100, 70, 20
_PLOT = _WIDTH - _LEFT - _RIGHT
_TOP, _HEIGHT, _GAP, _ROW = 40, 150, 45, 16
_LANES = {
    "workers": ("kill", "crash", "damage", "stop", "zombie", "scale", "disk full"),
    "brokers": ("broker kill", "broker pause", "outage"),
    "network": ("cut", "reset", "silence", "request lost", "answer lost", "answer eaten", "EndTxn held"),
    "administration": ("rights", "password", "quota", "records deleted"),
}
_COLOURS = {"workers": "#c2410c", "brokers": "#7e22ce", "network": "#0369a1", "administration": "#4d7c0f"}
_FONT = 'font-family="system-ui, sans-serif" font-size="11" fill="#334155"'
_STEPS_S = (10, 30, 60, 120, 300, 600, 1800, 3600)
FAULTS = tuple(kind for kinds in _LANES.values() for kind in kinds)


def draw(samples: Sequence[Sample], lines: Sequence[dict[str, Any]], title: str) -> str:
    """The picture as SVG text. There is at least one sample."""
    end_s = max(samples[-1].at_s, lines[-1]["at_s"] if lines else 0.0, 1.0)
    rates = [
        (b.at_s, max(0, b.enriched - a.enriched) / max(0.1, b.at_s - a.at_s)) for a, b in pairwise(samples)
    ]
    lag = [(sample.at_s, float(sample.lag)) for sample in samples]
    faults_top = _TOP + 2 * (_HEIGHT + _GAP)
    height = faults_top + len(FAULTS) * _ROW + 45
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="22" font-size="14" font-weight="600">{escape(title)}</text>',
        *_panel(rates, end_s, _TOP, "enriched records a second", "#15803d"),
        *_panel(lag, end_s, _TOP + _HEIGHT + _GAP, "raw records not yet committed", "#b45309"),
        *_faults(lines, end_s, faults_top),
        *_times(end_s, faults_top + len(FAULTS) * _ROW + 18),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(at_s: float, end_s: float) -> float:
    return round(_LEFT + _PLOT * at_s / end_s, 1)


def _panel(
    points: Sequence[tuple[float, float]], end_s: float, top: int, name: str, colour: str
) -> Iterator[str]:
    most = _round_up(max((value for _, value in points), default=1.0))
    bottom = top + _HEIGHT
    yield f'<text x="{_LEFT}" y="{top - 5}" fill="{colour}" font-weight="600">{name}</text>'
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * _HEIGHT
        yield f'<line x1="{_LEFT}" x2="{_LEFT + _PLOT}" y1="{y}" y2="{y}" stroke="#e2e8f0"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{most * share:,.0f}</text>'
    path = " ".join(
        f"{_x(at_s, end_s)},{round(bottom - _HEIGHT * value / most, 1)}" for at_s, value in points
    )
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.2"/>'


def _faults(lines: Sequence[dict[str, Any]], end_s: float, top: int) -> Iterator[str]:
    row = 0
    for lane, kinds in _LANES.items():
        for kind in kinds:
            y = top + row * _ROW
            row += 1
            yield f'<text x="{_LEFT - 6}" y="{y + 9}" text-anchor="end" font-size="9">{kind}</text>'
            yield (f'<line x1="{_LEFT}" x2="{_LEFT + _PLOT}" y1="{y + 6}" y2="{y + 6}" stroke="#f1f5f9"/>')
            for line in lines:
                if line["what"] == kind:
                    width = max(1.5, _PLOT * float(line.get("seconds", 0)) / end_s)
                    yield (
                        f'<rect x="{_x(line["at_s"], end_s)}" y="{y + 1}" width="{width:.1f}" height="10" '
                        f'fill="{_COLOURS[lane]}" fill-opacity="0.75"/>'
                    )


def _times(end_s: float, y: int) -> Iterator[str]:
    step_s = next((step for step in _STEPS_S if end_s / step <= 12), _STEPS_S[-1])
    for at_s in range(0, int(end_s) + 1, step_s):
        label = f"{at_s // 60} min" if step_s >= 60 else f"{at_s} s"
        yield f'<text x="{_x(at_s, end_s)}" y="{y}" text-anchor="middle">{label}</text>'


def _round_up(value: float) -> float:
    """The next 1, 2 or 5 with zeros."""
    power = 1.0
    while True:
        for step in (1.0, 2.0, 5.0):
            if step * power >= value:
                return step * power
        power *= 10.0
