# SPDX-License-Identifier: MIT
"""The tables of docs/PERFORMANCE.md, as Markdown."""
from support import results
from support.words import number, times

BEGIN, END = "<!-- bench/report begins -->", "<!-- bench/report ends -->"


def _cell(row, name):
    if name not in row["runs"]:
        return ""
    spread, peak = results.spread(row, name), results.peak(row, name)
    text = number(results.median(row, name), row["unit"])
    text += "" if spread is None else f" ±{spread:.0f}%"
    return text + ("" if peak is None else f"<br>{peak:.1f} MiB")


def _ratio(row, other):
    found = results.ratio(row, other) if other else None
    return "" if found is None else times(found)


def _goal(row):
    """Seconds and memory are in our own cell; of a ratio the figure may be in no other column."""
    texts = []
    for text, found, missed in results.goals(row):
        is_ratio = row["goal"] is not None and not texts
        texts.append(("**missed:** " if missed else "") +
                     (f"{text}: {times(found)}" if is_ratio and found is not None else text))
    return "<br>".join(texts)


def _table(table):
    names = list(dict.fromkeys(name for row in table["rows"] for name in row["runs"]))
    names.sort(key=lambda name: name != "vhdx")
    yield f"### {table['title']}"
    yield ""
    yield "| | " + " | ".join(names) + " | of the limit | of the best peer | goal |"
    yield "| --- |" + " ---: |" * (len(names) + 2) + " --- |"
    for row in table["rows"]:
        cells = [row["name"], *(_cell(row, name) for name in names), _ratio(row, row["limit"]),
                 _ratio(row, results.best_peer(row)), _goal(row)]
        yield "| " + " | ".join(cells) + " |"
    yield ""


def _machine(facts):
    peers = ", ".join(f"{name} {version}" for name, version in facts["peers"].items())
    return (f"{facts['processors']} processors ({facts['processor']}), {facts['memory_gib']} GiB of memory, "
            f"Linux {facts['kernel']}, {facts['distribution']}. Ours: {facts['vhdx']}. Peers: {peers}.")


def _end(result):
    missed = results.all_missed(result)
    count = sum(len(table["rows"]) for table in result["tables"])
    yield f"{len(missed) or 'None'} of {count} rows " + ("misses its" if len(missed) == 1 else
                                                         "miss their" if missed else "misses its") + " goal" + \
        (":" if missed else ".")
    if missed:
        yield ""
    for table, row in missed:
        yield f"- {table['title']}; {row['name']}: {'; '.join(results.misses(row))}"


def tables(result):
    lines = [_machine(result["machine"]), ""]
    if result["how"] != "full":
        lines += [f"This was a {result['how']} run, which says little.", ""]
    for table in result["tables"]:
        if table["rows"]:
            lines += _table(table)
    return "\n".join([*lines, *_end(result)])


def with_tables(page, result):
    """The page with new tables between its markers."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{tables(result)}\n\n{END}{after}"
