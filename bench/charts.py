"""Grouped horizontal bars and a roofline as SVG files. Standard library only."""

import math
from xml.sax.saxutils import escape

COLOURS = ("#3b6ea5", "#c98a3b", "#6a9a5b", "#8a6aa5")
LIMIT_COLOUR = "#cfd4da"
LEFT, WIDTH, BAR, GAP, TOP = 150, 460, 12, 10, 48
TEXT = 'font-family="sans-serif" font-size="11" fill="#222"'


def picture(path, width, height, title, parts):
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" {TEXT}>')
    path.write_text("\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>',
                               f'<text x="8" y="17" font-size="13">{escape(title)}</text>',
                               *parts, "</svg>"]) + "\n")


def legend(names, x, y):
    parts = []
    for i, name in enumerate(names):
        parts.append(f'<rect x="{x}" y="{y}" width="10" height="10" fill="{colour(i, name)}"/>'
                     f'<text x="{x + 14}" y="{y + 9}">{escape(name)}</text>')
        x += 34 + 6.2 * len(name)
    return parts


def colour(i, name=""):
    return LIMIT_COLOUR if name == "limit" else COLOURS[i % len(COLOURS)]


def bars(path, title, names, series, digits=1):
    """`series`: (name, values by name of the row, None where there is none)."""
    largest = max((v for _, values in series for v in values if v), default=1.0)
    height = TOP + len(names) * (BAR * len(series) + GAP) + 4
    parts = legend([name for name, _ in series], LEFT, 26)
    for row, name in enumerate(names):
        y = TOP + row * (BAR * len(series) + GAP)
        middle = y + BAR * len(series) / 2 + 4
        parts.append(f'<text x="{LEFT - 6}" y="{middle:.0f}" text-anchor="end">{escape(name)}'
                     '</text>')
        for i, (label, values) in enumerate(series):
            if values[row] is None:
                continue
            length = max(1.0, values[row] / largest * WIDTH)
            top = y + i * BAR
            parts.append(f'<rect x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR - 1}" '
                         f'fill="{colour(i, label)}"/><text x="{LEFT + length + 4:.1f}" '
                         f'y="{top + BAR - 2}">{values[row]:.{digits}f}</text>')
    picture(path, LEFT + WIDTH + 70, height, title, parts)


class LogAxes:
    """A frame whose both axes are logarithms: where a point lies in the picture."""

    def __init__(self, x_range, y_range, width=600, height=380):
        self.x_range, self.y_range = x_range, y_range
        self.left, self.top, self.right, self.bottom = 60, 64, width, height - 40

    def x(self, value):
        return self.left + (self.right - self.left) * share(value, *self.x_range)

    def y(self, value):
        return self.bottom - (self.bottom - self.top) * share(value, *self.y_range)

    def grid(self):
        parts = []
        for value in decades(*self.x_range):
            parts.append(line(self.x(value), self.top, self.x(value), self.bottom, "#e4e7ea")
                         + f'<text x="{self.x(value):.1f}" y="{self.bottom + 15}" '
                           f'text-anchor="middle">{value:g}</text>')
        for value in decades(*self.y_range):
            parts.append(line(self.left, self.y(value), self.right, self.y(value), "#e4e7ea")
                         + f'<text x="{self.left - 6}" y="{self.y(value) + 4:.1f}" '
                           f'text-anchor="end">{value:g}</text>')
        parts.append(f'<text x="{(self.left + self.right) / 2}" y="{self.bottom + 32}" '
                     'text-anchor="middle">operations per byte of weights</text>')
        parts.append(f'<text x="8" y="{self.top - 8}">10⁹ operations/s</text>')
        return parts


def share(value, low, high):
    return math.log(value / low) / math.log(high / low)


def decades(low, high):
    return [10.0**e for e in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]


def line(x1, y1, x2, y2, stroke, width=1):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" '
            f'stroke-width="{width}"/>')


def mark(hollow, x, y, fill):
    if not hollow:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}"/>'
    return (f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7" fill="none" '
            f'stroke="{fill}" stroke-width="1.5"/>')


def labels(peaks):
    """Peaks too close to write one above the other share a label."""
    merged = []
    for name, peak in sorted(peaks, key=lambda p: -p[1]):
        if merged and merged[-1][1] < 1.2 * peak:
            merged[-1] = (f"{merged[-1][0]}, {name}", merged[-1][1])
        else:
            merged.append((name, peak))
    return merged


def roofline(path, title, read_gb_s, peaks, series):
    """`peaks`: (name, 10^9 operations/s); `series`: (name, index of its colour, points (operations
    per byte, 10^9 operations/s))."""
    points = [p for _, _, listed in series for p in listed]
    if not points:
        return
    low = min(x for x, _ in points) / 1.6
    high = max(x for x, _ in points) * 1.6
    axes = LogAxes((low, high), (min(y for _, y in points) / 2,
                                 max(y for _, y in peaks) * 1.6))
    parts = axes.grid()
    for _, peak in peaks:
        knee = min(max(peak / read_gb_s, low), high)
        bottom = max(low, axes.y_range[0] / read_gb_s)
        parts.append(line(axes.x(bottom), axes.y(bottom * read_gb_s), axes.x(knee),
                          axes.y(min(peak, knee * read_gb_s)), "#555", 1.5))
        parts.append(line(axes.x(knee), axes.y(peak), axes.x(high), axes.y(peak), "#555", 1.5))
    for names, peak in labels(peaks):
        parts.append(f'<text x="{axes.right - 4}" y="{axes.y(peak) - 4:.1f}" text-anchor="end">'
                     f'{escape(names)} {peak:.0f}</text>')
    x = axes.left
    for name, index, listed in series:
        parts.append(mark(index // 4, x + 5, 31, colour(index))
                     + f'<text x="{x + 14}" y="35">{escape(name)}</text>')
        x += 30 + 6.4 * len(name)
        parts += [mark(index // 4, axes.x(a), axes.y(b), colour(index))
                  for a, b in listed]
    picture(path, axes.right + 20, axes.bottom + 40, title, parts)
