"""Grouped horizontal bars as an SVG file. Standard library only."""

from xml.sax.saxutils import escape

COLOURS = ("#3b6ea5", "#c98a3b", "#cfd4da")
LEFT, WIDTH, BAR, GAP, TOP = 80, 460, 12, 10, 44


def bars(path, title, names, series):
    """`series`: (name, values by name of the row, None where there is none)."""
    largest = max((v for _, values in series for v in values if v), default=1.0)
    height = TOP + len(names) * (BAR * len(series) + GAP) + 8
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 80}" height="{height}" '
           f'viewBox="0 0 {LEFT + WIDTH + 80} {height}" font-family="sans-serif" font-size="11">',
           '<rect width="100%" height="100%" fill="#fff"/>', f'<text x="8" y="16" font-size="13">{escape(title)}</text>']
    for i, (name, _) in enumerate(series):
        out.append(f'<rect x="{LEFT + 130 * i}" y="24" width="10" height="10" fill="{COLOURS[i % 3]}"/>'
                   f'<text x="{LEFT + 130 * i + 14}" y="33">{escape(name)}</text>')
    for row, name in enumerate(names):
        y = TOP + row * (BAR * len(series) + GAP)
        out.append(f'<text x="{LEFT - 6}" y="{y + BAR * len(series) / 2 + 4:.0f}" text-anchor="end">{escape(name)}</text>')
        for i, (_, values) in enumerate(series):
            if values[row] is None:
                continue
            length = values[row] / largest * WIDTH
            out.append(f'<rect x="{LEFT}" y="{y + i * BAR}" width="{length:.1f}" height="{BAR - 1}" fill="{COLOURS[i % 3]}"/>'
                       f'<text x="{LEFT + length + 4:.1f}" y="{y + i * BAR + BAR - 3}">{values[row]:.1f}</text>')
    path.write_text("\n".join(out) + "\n</svg>\n")
