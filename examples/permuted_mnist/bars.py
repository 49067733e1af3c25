"""Charts of horizontal bars: as an SVG file, and as lines for a terminal.

The SVG is written by hand: two pictures are not worth a plotting library as a dependency of the demo, and what a
screen reader needs stands in them. It has a background of its own, so it reads well on a light page and on a dark one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

#: Fill by kind of part, on a light background and on a dark one.
COLOURS = {
    "plain": ("#9aa5b1", "#6e7b8a"),
    "best": ("#1f6feb", "#4c94f6"),
    "bad": ("#c4541d", "#e5824f"),
    "faint": ("#e4e8ec", "#2b323b"),
    "agree": ("#5aa9c7", "#3f8ba8"),
}
WIDTH, LEFT, RIGHT, TOP = 760, 190, 68, 84
ROW, BAR = 38, 20


@dataclass(frozen=True)
class Bar:
    """One row. parts: (kind, length) one after the other, in percent. dots: marks on it, in percent too.

    value: what stands behind it, in the colour of the last part where there are several.
    """

    label: str
    parts: Sequence[tuple[str, float]]
    value: str
    dots: Sequence[float] = ()

    @property
    def length(self) -> float:
        return sum(length for _, length in self.parts)


@dataclass(frozen=True)
class Chart:
    """Bars on a scale from 0 to 100 percent.

    title, subtitle: above them. description: what they show, for those who cannot see it. legend: what each kind is.
    """

    title: str
    subtitle: str
    description: str
    bars: Sequence[Bar]
    legend: dict[str, str] = field(default_factory=dict)


def terminal_lines(chart: Chart, columns: int = 45) -> list[str]:
    """The chart for a terminal, a line for each bar; 100 percent would be so many columns long."""
    widest = max(len(bar.label) for bar in chart.bars)
    return [f"{bar.label:<{widest}}  {_blocks(bar.length * columns / 100)} {bar.value}" for bar in chart.bars]


def _blocks(columns: float) -> str:
    """A bar of characters, to an eighth of one."""
    whole, eighths = divmod(round(8 * columns), 8)
    return "█" * whole + " ▏▎▍▌▋▊▉"[eighths].strip()


def svg(chart: Chart) -> str:
    """The chart as the text of an SVG file."""
    bottom = TOP + ROW * len(chart.bars)
    height = bottom + (72 if chart.legend else 40)
    body = [
        f'<rect class="page" width="{WIDTH}" height="{height}" rx="8"/>',
        _text(24, 34, chart.title, "title"),
        _text(24, 58, chart.subtitle, "quiet"),
        *_scale(bottom),
        *(line for number, bar in enumerate(chart.bars) for line in _bar(bar, TOP + ROW * number)),
        *_legend(chart.legend, bottom + 50),
    ]
    return "\n".join([_head(chart, height), *body, "</svg>", ""])


def _head(chart: Chart, height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-labelledby="title description">\n'
        f'<title id="title">{escape(chart.title)}</title>\n'
        f'<desc id="description">{escape(chart.description)}</desc>\n'
        f"<style>{_style()}</style>"
    )


def _style() -> str:
    """Two sets of colours; the reader's system chooses."""
    light, dark = ("".join(f".{kind}{{fill:{pair[i]}}}" for kind, pair in COLOURS.items()) for i in (0, 1))
    return (
        "text{font:14px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}"
        ".title{font-size:19px;font-weight:600}.quiet{font-size:13px;fill:#59636e}.value{font-weight:600}"
        f".page{{fill:#ffffff}}.grid{{stroke:#d8dee4}}.dot{{fill:#1f2328;stroke:#ffffff}}{light}"
        "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.quiet{fill:#9da7b1}"
        f".page{{fill:#0d1117}}.grid{{stroke:#343c46}}.dot{{fill:#e6edf3;stroke:#0d1117}}{dark}}}"
    )


def _scale(bottom: int) -> list[str]:
    lines = []
    for percent in range(0, 101, 25):
        x = _x(percent)
        lines.append(f'<line class="grid" x1="{x:g}" x2="{x:g}" y1="{TOP - 8}" y2="{bottom}"/>')
        lines.append(_text(x, bottom + 18, f"{percent}%", "quiet", "middle"))
    return lines


def _bar(bar: Bar, y: int) -> list[str]:
    middle = y + BAR / 2
    lines, start = [_text(LEFT - 12, middle + 5, bar.label, "label", "end")], 0.0
    for kind, length in bar.parts:
        x, width = _x(start), _x(start + length) - _x(start)
        lines.append(f'<rect class="{kind}" x="{x:.2f}" y="{y}" width="{width:.2f}" height="{BAR}"/>')
        start += length
    lines += [f'<circle class="dot" cx="{_x(dot):.2f}" cy="{middle:g}" r="3.5"/>' for dot in bar.dots]
    kind = f"value {bar.parts[-1][0]}" if len(bar.parts) > 1 else "value"
    return [*lines, _text(_x(max([bar.length, *bar.dots])) + 10, middle + 5, bar.value, kind)]


def _legend(legend: dict[str, str], y: int) -> list[str]:
    lines, x = [], 24.0
    for kind, words in legend.items():
        if kind == "dot":
            lines.append(f'<circle class="dot" cx="{x + 6:g}" cy="{y - 4}" r="3.5"/>')
        else:
            lines.append(f'<rect class="{kind}" x="{x:g}" y="{y - 10}" width="12" height="12"/>')
        lines.append(_text(x + 18, y, words, "quiet"))
        x += 44 + 6.2 * len(words)
    return lines


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'


def _x(percent: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * percent / 100
