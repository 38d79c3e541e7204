"""Charts as SVG text, without a library: lines or bars with a range, legible on light and dark pages.

A series is a name and, for each place on the x axis, (lowest, middle, highest) or None. The y axis begins
at zero, so that heights can be compared, but for lines on a logarithmic one. Names in `known` look the same in every chart. It draws what
it is given and computes nothing.
"""

import math
from html import escape

WIDTH, HEIGHT = 900, 430
LEFT, RIGHT, TOP, BOTTOM = 70, 230, 46, 54
INNER_WIDTH, INNER_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

# Of middle lightness, so that they stand out from white and from black.
COLOURS = ("#7d8590", "#2b8ae0", "#a45ad6", "#e8590c", "#d99a00", "#1f9d6b", "#d6336c", "#0ca0b0", "#5c6ef8")
MARKS = ("circle", "square", "diamond")

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 }
  .page { fill: #ffffff } .grid { stroke: #d8dee4 } .axis { stroke: #6e7781 }
  @media (prefers-color-scheme: dark) {
    text { fill: #d7dde4 } .page { fill: #0d1117 } .grid { stroke: #30363d } .axis { stroke: #8b949e }
  }
"""


def lines(title, x_title, places, y_title, series, known=(), is_log=False):
    """A line per series over `places`, which stand at equal distances."""
    step = INNER_WIDTH / len(places)
    drawing = _Drawing(title, x_title, places, y_title, series, known, is_log)
    for number, (name, points) in enumerate(series.items()):
        # A little beside each other, so that ranges do not cover each other.
        aside = (number - (len(series) - 1) / 2) * min(8, step / 2 / len(series))
        at = [LEFT + step * (place + 0.5) + aside for place in range(len(places))]
        drawing.line(name, [(x, point) for x, point in zip(at, points) if point])
    return drawing.text()


def bars(title, x_title, places, y_title, series, known=()):
    """A group of bars for each of `places`, in it a bar per series."""
    step = INNER_WIDTH / len(places)
    width = step * 0.8 / len(series)
    drawing = _Drawing(title, x_title, places, y_title, series, known)
    for number, (name, points) in enumerate(series.items()):
        for place, point in enumerate(points):
            if point:
                drawing.bar(name, LEFT + step * (place + 0.1) + width * number, width, point)
    return drawing.text()


def _ticks(highest):
    """Round values from zero to at least `highest`, about six of them."""
    rough = highest / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return [number * step for number in range(math.ceil(highest / step) + 1)]


def _powers(lowest, highest):
    """Powers of ten from below `lowest` to above `highest`."""
    return [10**power for power in range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1)]


class _Drawing:
    """The frame of a chart, and what is drawn into it."""

    def __init__(self, title, x_title, places, y_title, series, known, is_log=False):
        names = [*known, *(name for name in series if name not in known)]
        self.looks = {name: number for number, name in enumerate(names)}
        points = [point for points in series.values() for point in points if point]
        highest = max(point[2] for point in points)
        self.is_log = is_log
        self.ticks = _powers(min(point[0] for point in points), highest) if is_log else _ticks(highest)
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
            f'height="{HEIGHT}" role="img" aria-label="{escape(title)}">',
            f'<style>{STYLE}</style><rect class="page" width="100%" height="100%"/>',
            f'<text class="title" x="{LEFT}" y="26">{escape(title)}</text>',
        ]
        self._frame(x_title, places, y_title)
        for number, name in enumerate(series):
            x, y = WIDTH - RIGHT + 22, TOP + 12 + number * 24
            self.parts.append(self._mark(name, x, y - 4) + f'<text x="{x + 14}" y="{y}">{escape(name)}</text>')

    def _frame(self, x_title, places, y_title):
        right, bottom = LEFT + INNER_WIDTH, TOP + INNER_HEIGHT
        for number, value in enumerate(self.ticks):
            y = self._y(value)
            kind = "grid" if number else "axis"
            self.parts.append(
                f'<line class="{kind}" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:,g}</text>'
            )
        step = INNER_WIDTH / len(places)
        for number, place in enumerate(places):
            x = LEFT + step * (number + 0.5)
            self.parts.append(f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{escape(str(place))}</text>')
        middle_x, middle_y = LEFT + INNER_WIDTH / 2, TOP + INNER_HEIGHT / 2
        self.parts.append(
            f'<text x="{middle_x}" y="{bottom + 42}" text-anchor="middle">{escape(x_title)}</text>'
            f'<text transform="translate(18 {middle_y}) rotate(-90)" text-anchor="middle">{escape(y_title)}</text>'
        )

    def _y(self, value):
        share = value / self.ticks[-1]
        if self.is_log:
            share = 1 + math.log(share) / math.log(self.ticks[-1] / self.ticks[0])
        return TOP + INNER_HEIGHT * (1 - share)

    def _colour(self, name):
        return COLOURS[self.looks[name] % len(COLOURS)]

    def _mark(self, name, x, y):
        colour, mark = self._colour(name), MARKS[self.looks[name] % len(MARKS)]
        if mark == "circle":
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>'
        turned = f' transform="rotate(45 {x:.1f} {y:.1f})"' if mark == "diamond" else ""
        return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{colour}"{turned}/>'

    def _range(self, x, point, stroke):
        low, high = self._y(point[0]), self._y(point[2])
        return (
            f'<path d="M{x:.1f} {low:.1f}V{high:.1f}M{x - 3:.1f} {low:.1f}h6M{x - 3:.1f} {high:.1f}h6" '
            f"{stroke}/>"
        )

    def line(self, name, points):
        """A line through the middles, with a mark and a range at each."""
        colour = f'stroke="{self._colour(name)}" fill="none" stroke-width="1.6"'
        path = "L".join(f"{x:.1f} {self._y(point[1]):.1f}" for x, point in points)
        self.parts.append(f'<path d="M{path}" {colour}/>')
        for x, point in points:
            self.parts.append(self._range(x, point, colour) + self._mark(name, x, self._y(point[1])))

    def bar(self, name, x, width, point):
        """A bar as high as the middle, with its range."""
        y = self._y(point[1])
        size = f'width="{width * 0.92:.1f}" height="{self._y(0) - y:.1f}"'
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{self._colour(name)}"/>'
            + self._range(x + width * 0.46, point, 'class="axis" fill="none" stroke-width="1.4"')
        )

    def text(self):
        """The finished SVG."""
        return "\n".join([*self.parts, "</svg>"]) + "\n"
