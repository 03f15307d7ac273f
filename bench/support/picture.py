# SPDX-License-Identifier: MIT
"""docs/performance.svg: for each row that measures time, how fast ours is, as a multiple of the limit and of the best
peer, on a logarithmic axis; the goal is marked."""
import math
from xml.sax.saxutils import escape

from support import results
from support.words import times

WIDTH, LEFT, RIGHT = 980, 330, 60
ROW, BAR, TITLE = 28, 9, 34
TOP, BOTTOM = 104, 40
LEAST, MOST = 1 / 16, 64  # bars end here, with an arrow
TICKS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16, 32, 64)

# Not by variables, which not every program that shows pictures knows.
LIGHT = {"page": "#ffffff", "text": "#1f2328", "grey": "#59636e", "limit": "#2f6fd6", "peer": "#2e9e6b",
         "missed": "#d1242f", "grid": "#d1d9e0", "one": "#59636e", "goal": "#1f2328"}
DARK = {"page": "#0d1117", "text": "#e6edf3", "grey": "#9198a1", "limit": "#6ea8ff", "peer": "#4fc48c",
        "missed": "#ff7b72", "grid": "#30363d", "one": "#9198a1", "goal": "#e6edf3"}
LINES = ("grid", "one", "goal")


def colours(of):
    for name, colour in of.items():
        yield f".{name} {{ {'stroke' if name in LINES else 'fill'}: {colour}; }}"


def style():
    return "\n".join(['text { font: 12px system-ui, "DejaVu Sans", sans-serif; }', "text.grey { font-size: 11px; }",
                      "text.title { font-size: 17px; font-weight: 600; }", "text.table { font-weight: 600; }",
                      ".goal { stroke-width: 2; }", *colours(LIGHT), "@media (prefers-color-scheme: dark) {",
                      *colours(DARK), "}"])


def speed(row, other):
    """How many times as fast as the other ours is, or None."""
    found = results.ratio(row, other) if other else None
    return found if not found or results.is_rate(row) else 1 / found


def reference(row):
    """The limit; or what the goal is about, where that is no peer: a small disk."""
    return row["limit"] or (row["against"] if row["against"] != results.best_peer(row) else None)


def shown(row):
    """Counts are no speeds; and a row of ours alone has nothing to be compared with."""
    return (row["unit"] == "s" or results.is_rate(row)) and (
        speed(row, reference(row)) or speed(row, results.best_peer(row)))


def x(ratio):
    place = math.log(min(max(ratio, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return round(LEFT + place * (WIDTH - LEFT - RIGHT), 1)


def text(where, y, words, kind="text", anchor="start"):
    return f'<text x="{where}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="{kind}"/>'


def bar(y, ratio, kind, mark=None):
    """From one to the ratio, with the figure beyond its end, on whichever side that is, and beyond a mark there."""
    first, last = sorted((x(1), x(ratio)))
    beyond = ratio >= 1
    words = times(ratio) + ("" if LEAST <= ratio <= MOST else " →" if beyond else "")
    words = words if ratio >= LEAST else "← " + words
    yield f'<rect x="{first}" y="{y}" width="{max(last - first, 1.5):.1f}" height="{BAR}" rx="1.5" class="{kind}"/>'
    near = mark is not None and first - 40 < mark < last + 40
    first, last = (min(first, mark), max(last, mark)) if near else (first, last)
    yield text(last + 4 if beyond else first - 4, y + BAR - 0.5, words, "grey", "start" if beyond else "end")


def row_lines(row, y):
    limit, peer = speed(row, reference(row)), speed(row, results.best_peer(row))
    missed = results.misses(row)
    yield text(16, y + 15, row["name"] + ("  ✗" if missed else ""), "missed" if missed else "text")
    mark = x(row["goal"] if results.is_rate(row) else 1 / row["goal"]) if row["goal"] else None
    of_limit = (row["against"] or row["limit"]) == reference(row)
    if limit:
        yield from bar(y + 2, limit, "limit", mark if of_limit else None)
    if peer:
        yield from bar(y + BAR + 4, peer, "peer", None if of_limit else mark)
    if mark:
        first = y + 1 if of_limit else y + BAR + 3
        yield line(mark, first, mark, first + BAR + 2, "goal")


def legend():
    yield text(16, 30, "How fast vhdx is, as a multiple of the limit and of the best peer", "text title")
    at = 16
    for kind, words, width in (("limit", "against the limit, or a disk of 1 GiB in rows of scale", 355),
                               ("peer", "against the best peer", 190)):
        yield f'<rect x="{at}" y="45" width="14" height="{BAR}" rx="1.5" class="{kind}"/>'
        yield text(at + 20, 54, words)
        at += width
    yield line(at + 4, 43, at + 4, 56, "goal")
    yield text(at + 12, 54, "goal")
    yield text(at + 60, 54, "✗ misses a goal", "missed")
    yield text(x(1) + 10, 78, "faster than it →", "grey")
    yield text(x(1) - 10, 78, "← slower than it", "grey", "end")


def axis(bottom):
    for tick in TICKS:
        name = f"{tick:g}×" if tick >= 1 else f"1/{1 / tick:g}×"
        yield line(x(tick), TOP - 6, x(tick), bottom, "one" if tick == 1 else "grid")
        yield text(x(tick), TOP - 11, name, "grey", "middle")
        yield text(x(tick), bottom + 16, name, "grey", "middle")


def svg(result):
    body, y = [], TOP
    for table in result["tables"]:
        rows = [row for row in table["rows"] if shown(row)]
        if not rows:
            continue
        body.append(text(16, y + 22, table["title"], "text table"))
        y += TITLE
        for row in rows:
            body += row_lines(row, y)
            y += ROW
    height = y + BOTTOM
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
             f'height="{height}" role="img">', "<title>How fast vhdx is</title>", f"<style>{style()}</style>",
             f'<rect width="{WIDTH}" height="{height}" class="page"/>', *legend(), *axis(y + 6), *body, "</svg>"]
    return "\n".join(lines) + "\n"
