# SPDX-License-Identifier: MIT
"""A table on the terminal: a line for each program that did a row's work, and ours compared."""
from support import results
from support.words import number

MARK = "MISSED"


def optional(value, form, without="-"):
    return without if value is None else form.format(value)


def print_row(row):
    other = results.best_peer(row)
    limit = row["limit"] if row["limit"] in row["runs"] else None
    goal = results.goal_text(row)
    print(f"  {row['name']}" + (f"   (goal: {goal})" if goal else ""))
    for name in row["runs"]:
        line = (f"    {name:22} {number(results.median(row, name), row['unit']):>14}"
                f"  {optional(results.spread(row, name), '±{:.0f}%', ''):>6}"
                f"  {optional(results.peak(row, name), '{:.1f} MiB', ''):>10}")
        if name != "vhdx":
            line += f"   vhdx/{name} {optional(results.ratio(row, name), '{:.2f}')}"
            line += optional(results.best_ratio(row, name), " (best {:.2f})", "")
            line += ", the limit" if name == limit else ", the best peer" if name == other else ""
        elif results.misses(row):
            line += f"   {MARK}"
        print(line.rstrip(), flush=True)


def print_end(result):
    missed = results.all_missed(result)
    count = sum(len(table["rows"]) for table in result["tables"])
    print(f"\n{count} rows; {len(missed)} miss their goal" + (":" if missed else "."))
    for table, row in missed:
        print(f"  {table['name']}: {row['name']}: {'; '.join(results.misses(row))}")
