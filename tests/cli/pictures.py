#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pictures of where the blocks lie: what they say is what the BAT says, at any size, in a browser too."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import json
import math
import re
import xml.etree.ElementTree

import browser
import disks
import script
import tap
from command import fails, vhdx, vhdx_json
from disks import GIB, MIB, TIB

SVG = "{http://www.w3.org/2000/svg}"
CELL, COLUMNS = 8, 128


def image(folder, name="disk.vhdx"):
    """64 MiB in blocks of 1 MiB: two data blocks in the order of the disk, two the other way round, one unmapped."""
    path = os.path.join(folder, name)
    vhdx("create", "-q", "--block-size", "1M", path, "64M")
    script.vhdxio(path, lines=["write 0 1M 1", "write 1M 1M 1", "write 60M 1M 1", "write 50M 1M 1", "write 30M 4K 1", "trim 30M 1M"])
    return path


def drawn(text):
    """Of each space: what covers each cell, as (first byte, end, fill, title)."""
    top = xml.etree.ElementTree.fromstring(text)
    found = {}
    for name in "disk", "file":
        caption = next(t.text for t in top.iter(SVG + "text") if t.text.startswith(f"The {name}:"))
        number, unit = re.search(r"a cell is ([\d.]+) (\w+)$", caption).groups()
        size = int(float(number) * {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}[unit])
        group = next(g for g in top.iter(SVG + "g") if g.get("id") == name)
        found[name] = []
        for rect in group.iter(SVG + "rect"):
            first = int(rect.get("y")) // CELL * COLUMNS + int(rect.get("x")) // CELL
            end = first + int(rect.get("width")) // CELL
            found[name].append((first * size, end * size, rect.get("fill"), rect.find(SVG + "title").text))
    return found


def kinds(runs, offset):
    """What is told of the byte at @offset."""
    title = next(title for first, end, _, title in runs if first <= offset < end)
    return dict(re.findall(r" ([\w' ]+?) ([\d.]+ \w+);", title.split(":", 1)[1] + ""))


@tap.case("the picture shows each block and structure where the image has it")
def _(folder):
    path = image(folder)
    spaces = drawn(vhdx("map", "--svg", "-", path).out)
    info = vhdx_json("info", "--json", path)["vhdx"]
    entries = vhdx_json("dump", "--json", "bat", path)["entries"]
    places = {entry["block"]: entry["file-offset"] for entry in entries if entry["state"] == "FULLY_PRESENT"}
    assert set(places) == {0, 1, 50, 60}, entries
    for block, place in places.items():
        assert "data" in kinds(spaces["disk"], block * MIB) and "data" in kinds(spaces["file"], place), block
    assert "unmapped" in kinds(spaces["disk"], 30 * MIB)
    assert set(kinds(spaces["disk"], 5 * MIB)) == {"free"}
    for name, offset in (("headers", 0), ("log", info["log-offset"]), ("metadata", info["metadata-offset"]),
                         ("BAT", info["bat-offset"])):
        assert name in kinds(spaces["file"], offset), name
    for name, size in (("disk", 64 * MIB), ("file", os.path.getsize(path))):
        runs = sorted(spaces[name])
        assert runs[0][0] == 0 and runs[-1][1] >= size > runs[-1][0]
        assert all(before[1] == after[0] for before, after in zip(runs, runs[1:])), name


@tap.case("a block has the same colour on the disk and in the file, and blocks far apart have others")
def _(folder):
    path = image(folder)
    spaces = drawn(vhdx("map", "--svg", "-", path).out)
    entries = vhdx_json("dump", "--json", "bat", path)["entries"]
    places = {entry["block"]: entry["file-offset"] for entry in entries if entry["state"] == "FULLY_PRESENT"}

    def colour(name, offset):
        return next(fill for first, end, fill, _ in spaces[name] if first <= offset < end)

    colours = {block: colour("file", place) for block, place in places.items()}
    assert colours == {block: colour("disk", block * MIB) for block in places}
    assert len({colours[0], colours[50], colours[60]}) == 3 and colours[0] == colours[1], colours


@tap.case("a picture of 64 TiB is as small, and shows a single block")
def _(folder):
    path = os.path.join(folder, "large.vhdx")
    vhdx("create", "-q", "--block-size", "1M", path, "64T")
    script.vhdxio(path, lines=[f"write {33 * TIB} 4096 1"])
    text = vhdx("map", "--svg", "-", path).out
    assert len(text) < 1 << 20, len(text)
    spaces = drawn(text)
    assert "data" in kinds(spaces["disk"], 33 * TIB) and "data" not in kinds(spaces["disk"], 32 * TIB)
    page = vhdx("map", "--html", "-", path).out
    assert len(page) < 1 << 20, len(page)


@tap.case("what is told of a cell tells its ends apart, however small it is on the disk")
def _(folder):
    path = os.path.join(folder, "disk.vhdx")
    vhdx("create", "-q", "--block-size", "1M", path, "10G")
    place = 2572 * MIB
    script.vhdxio(path, lines=["write 0 4096 1", f"write {place} 4096 1"])
    titles = {first: title for first, _, _, title in drawn(vhdx("map", "--svg", "-", path).out)["disk"]}
    for title in titles.values():
        start, end = re.match(r"(.*?) to (.*?):", title).groups()
        assert start != end, title
    assert titles[0].startswith("0 bytes to 4 MiB:"), titles[0]
    assert titles[place].startswith(f"{place} to {place + 4 * MIB} bytes:"), titles[place]


@tap.case("a small window of a large disk says in bytes which part it is", browser.needed)
def _(folder):
    path, page = os.path.join(folder, "disk.vhdx"), os.path.join(folder, "page.html")
    vhdx("create", "-q", path, "10G")
    vhdx("map", "--html", page, path)
    with browser.started(os.path.join(folder, "profile")) as chromium:
        chromium.open(page)
        chromium.run("show('disk', 2572 * 2 ** 20, 2573 * 2 ** 20)")
        caption = chromium.run("return spaces.disk.caption.textContent")
        assert caption == f"The disk: from {2572 * MIB} to {2573 * MIB} bytes of 10 GiB, a cell is 4 KiB", caption


@tap.case("a child shows what it holds itself, with its bitmaps")
def _(folder):
    child = os.path.join(folder, "child.avhdx")
    vhdx("create", "-q", "--parent", image(folder), "--block-size", "1M", child)
    script.vhdxio(child, lines=["write 5M 4K 1", "write 7M 1M 1"])
    spaces = drawn(vhdx("map", "--svg", "-", child).out)
    assert "partial data" in kinds(spaces["disk"], 5 * MIB) and set(kinds(spaces["disk"], 0)) == {"the parent's"}
    assert any("sector bitmaps" in title for _, _, _, title in spaces["file"])


def told_page(path):
    return json.loads(re.search(r'id="data">(.*?)</script>', vhdx("map", "--html", "-", path).out, re.S)[1])


@tap.case("what a child leaves to its parent is called the parent's, in cells, legend and table, and nothing is free")
def _(folder):
    child = os.path.join(folder, "child.avhdx")
    vhdx("create", "-q", "--parent", image(folder), "--block-size", "1M", child)
    script.vhdxio(child, lines=["write 5M 4K 1", "write 7M 1M 1", "zero 0 1M"])
    text = vhdx("map", "--svg", "-", child).out
    disk = drawn(text)["disk"]
    assert not any("free" in title for _, _, _, title in disk), disk
    assert set(kinds(disk, 6 * MIB)) == set(kinds(disk, 63 * MIB)) == {"the parent's"} and set(kinds(disk, 0)) == {"zero"}
    assert "the parent's, disk 61 MiB<" in text
    page = told_page(child)
    names = [kind["name"] for kind in page["kinds"]]
    assert page["parent"] == names.index("the parent's")
    found = [(names[kind], start, length) for kind, start, _, length in page["extents"] if start >= 0]
    assert found == [("zero", 0, MIB), ("the parent's", MIB, 4 * MIB), ("partial data", 5 * MIB, MIB),
                     ("the parent's", 6 * MIB, MIB), ("data", 7 * MIB, MIB), ("the parent's", 8 * MIB, 56 * MIB)], found
    fills = {fill for first, end, fill, _ in disk if first <= 20 * MIB < end}
    assert fills == {page["kinds"][page["parent"]]["colour"]}, fills
    assert not any(names[kind] == "the parent's" for kind, *_ in told_page(os.path.join(folder, "disk.vhdx"))["extents"])


@tap.case("one block of a large child is seen between what is the parent's")
def _(folder):
    base, child = os.path.join(folder, "base.vhdx"), os.path.join(folder, "child.avhdx")
    vhdx("create", "-q", base, "4T")
    vhdx("create", "-q", "--parent", base, child)
    script.vhdxio(child, lines=[f"write {TIB} 2M 1"])
    disk, page = drawn(vhdx("map", "--svg", "-", child).out)["disk"], told_page(child)
    fill = next(fill for first, end, fill, _ in disk if first <= TIB < end)
    assert fill in page["places"] and set(kinds(disk, TIB)) == {"data", "the parent's"}, fill


# How others see colours, in linear light: without red, green or blue cones (Machado, Oliveira and Fernandes, 2009).
EYES = (((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
        ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
        ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)))
XYZ = ((0.4339, 0.3762, 0.1899), (0.2126, 0.7152, 0.0722), (0.0177, 0.1095, 0.8728))  # of white, 1 each


def turned(matrix, vector):
    return [min(max(sum(a * b for a, b in zip(row, vector)), 0), 1) for row in matrix]


def seen(colour, eyes):
    """In CIELAB."""
    parts = [int(colour[at:at + 2], 16) / 255 for at in (1, 3, 5)]
    light = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in turned(XYZ, turned(eyes, light)))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@tap.case("all eyes tell what is the parent's from each other kind")
def _(folder):
    page = told_page(image(folder))
    own = page["kinds"][page["parent"]]["colour"]
    others = [kind["colour"] for number, kind in enumerate(page["kinds"]) if number != page["parent"]] + page["places"]
    for colour in others + ["#ffffff"]:
        distance = min(math.dist(seen(own, eyes), seen(colour, eyes)) for eyes in EYES)
        assert distance > 15, (own, colour, distance)


@tap.case("a block that cannot be where, or what, the BAT says is shown as damaged, not as data")
def _(folder):
    path = image(folder)
    bat = vhdx_json("info", "--json", path)["vhdx"]["bat-offset"]
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        for block, entry in ((0, size | 6), (1, 4 * MIB | 7), (50, 4), (60, (size - MIB) | 6), (61, 1)):
            file.seek(bat + 8 * block)
            file.write(entry.to_bytes(8, "little"))
    spaces = drawn(vhdx("map", "--svg", "-", path).out)
    for block, kind in (0, "damaged"), (1, "damaged"), (50, "damaged"), (60, "data"), (61, "undefined"):
        assert set(kinds(spaces["disk"], block * MIB)) == {kind}, (block, kinds(spaces["disk"], block * MIB))
    assert json.loads(re.search(r'id="data">(.*?)</script>', vhdx("map", "--html", "-", path).out, re.S)[1])["extents"]


@tap.case("a name that holds markup stays text")
def _(folder):
    path = image(folder, "<script>alert('&\"\x01')<.vhdx")
    top = xml.etree.ElementTree.fromstring(vhdx("map", "--svg", "-", path).out)
    assert next(top.iter(SVG + "text")).text.endswith("<script>alert('&\"\ufffd')<.vhdx")
    assert "<script>alert" not in vhdx("map", "--html", "-", path).out


@tap.case("a picture that is there is kept without --force, and nothing is left of one that cannot be written")
def _(folder):
    path, out = image(folder), os.path.join(folder, "out.svg")
    before = disks.snapshot(path)
    vhdx("map", "--svg", out, path)
    fails("map", "--svg", out, path, says="exists already")
    vhdx("map", "--svg", out, "--force", path)
    with open(out, encoding="utf-8") as file:
        assert file.read() == vhdx("map", "--svg", "-", path).out
    fails("map", "--svg", path, "--force", path, says="is the image")
    fails("map", "--svg", "/dev/full", "--force", path, says="is no regular file")
    link = os.path.join(folder, "link.svg")
    os.symlink(out, link)
    fails("map", "--svg", link, "--force", path, says="is no regular file")
    fails("map", "--svg", "-", "--html", "-", path, says="files of their own")
    fails("map", "--json", "--svg", "-", path, says="--json")
    assert sorted(os.listdir(folder)) == ["disk.vhdx", "link.svg", "out.svg"], os.listdir(folder)
    fails("map", "--html", os.path.join(folder, "none", "out.html"), path, says="cannot be made")
    assert not disks.changes(before, disks.snapshot(path))


@tap.case("the page is looked into in a browser: what it tells when hovered, zoomed and chosen is the BAT's",
          browser.needed)
def _(folder):
    path, page = image(folder), os.path.join(folder, "page.html")
    vhdx("map", "--html", page, path)
    entries = vhdx_json("dump", "--json", "bat", path)["entries"]
    place = next(entry["file-offset"] for entry in entries if entry.get("block") == 60)
    with browser.started(os.path.join(folder, "profile")) as chromium:
        chromium.open(page)

        def middle(name, offset):
            """Where on the window that byte is, by the window of the space that is shown."""
            return chromium.run("""
                const [name, offset] = arguments, space = spaces[name], i = Math.floor((offset - space.from) / cellSize(space));
                const point = new DOMPoint(i % COLUMNS * PIXELS + PIXELS / 2, Math.floor(i / COLUMNS) * PIXELS + PIXELS / 2)
                    .matrixTransform(space.group.getScreenCTM());
                return [point.x, point.y];""", name, offset)

        chromium.hover(*middle("disk", 60 * MIB))
        told = chromium.text("#told")
        assert f"The disk at {60 * MIB} " in told and "data, 1 MiB" in told and f"at {place} of the file" in told, told
        chromium.hover(*middle("file", place))
        assert f"at {60 * MIB} of the disk" in chromium.text("#told"), chromium.text("#told")
        chromium.hover(*middle("disk", 5 * MIB))
        assert "free" in chromium.text("#told")

        # Zooming halves what is shown, around the pointer; all of it comes back.
        chromium.wheel(*middle("disk", 60 * MIB), -120)
        start, end = chromium.run("return [spaces.disk.from, spaces.disk.to]")
        assert end - start <= 33 * MIB and start <= 60 * MIB < end, (start, end)
        cells = chromium.run("return [...document.querySelectorAll('svg #disk rect')].map(r => [+r.dataset.from, +r.dataset.to, r.getAttribute('fill')])")
        assert cells[0][0] == start and cells[-1][1] == end and all(a[1] == b[0] for a, b in zip(cells, cells[1:]))
        data = chromium.run("return layout.places")
        shown = {at for at, _, fill in cells if fill in data}
        known = {at for at, _, _ in cells if at // MIB in (50, 60)}
        assert shown == known and len(known) > 200, sorted(shown ^ known)[:5]
        chromium.hover(*middle("disk", 60 * MIB))
        assert f"at {place} of the file" in chromium.text("#told")
        chromium.click("[data-space=disk] [data-zoom=all]")
        assert chromium.run("return [spaces.disk.from, spaces.disk.to]") == [0, 64 * MIB]

        # The table has every extent, and shows the one that is chosen.
        rows = chromium.run("return [...document.querySelectorAll('#extents tbody tr')].map(r => [...r.cells].map(c => c.textContent))")
        assert [row[4] for row in rows if row[1] == "0"] == ["2 MiB"], rows
        rows = [row[:4] for row in rows]
        assert ["data", str(60 * MIB), str(place), str(MIB)] in rows and ["unmapped", str(30 * MIB), "", str(MIB)] in rows, rows
        assert ["data", "0", str(next(e["file-offset"] for e in entries if e.get("block") == 0)), str(2 * MIB)] in rows
        number = rows.index(["data", str(60 * MIB), str(place), str(MIB)])
        chromium.run("document.querySelectorAll('#extents tbody tr')[arguments[0]].click()", number)
        chosen = chromium.run("return [...document.querySelectorAll('#file rect.chosen')].map(r => +r.dataset.from)")
        assert chosen and min(chosen) <= place <= max(chosen) < place + MIB, (chosen, place)
        assert not chromium.complaints(), chromium.complaints()


@tap.case("the page of a child tells what is the parent's, in all windows", browser.needed)
def _(folder):
    child, page = os.path.join(folder, "child.avhdx"), os.path.join(folder, "page.html")
    vhdx("create", "-q", "--parent", image(folder), "--block-size", "1M", child)
    script.vhdxio(child, lines=["write 7M 1M 1"])
    vhdx("map", "--html", page, child)
    with browser.started(os.path.join(folder, "profile")) as chromium:
        chromium.open(page)
        chromium.run("show('disk', 6 << 20, 10 << 20)")
        own = chromium.run("return layout.kinds[layout.parent].colour")
        cells = chromium.run("return [...document.querySelectorAll('svg #disk rect')].map(r => [+r.dataset.from, r.getAttribute('fill')])")
        assert {at // MIB for at, fill in cells if fill == own} == {6, 8, 9} and (7 * MIB, own) not in map(tuple, cells), cells
        chromium.run("tell('disk', 20 << 20)")
        assert f"the parent's, 56 MiB, at {8 * MIB} of the disk" in chromium.text("#told"), chromium.text("#told")
        assert not chromium.complaints(), chromium.complaints()


@tap.case("a window that is zoomed into says which part it is and how large a cell is", browser.needed)
def _(folder):
    page = os.path.join(folder, "page.html")
    vhdx("map", "--html", page, image(folder))
    with browser.started(os.path.join(folder, "profile")) as chromium:
        chromium.open(page)
        whole = chromium.run("return spaces.disk.caption.textContent")
        assert whole == "The disk: 64 MiB, a cell is 16 KiB", whole
        chromium.run("show('disk', 16 << 20, 32 << 20)")
        assert chromium.run("return spaces.disk.caption.textContent") == "The disk: from 16 MiB to 32 MiB of 64 MiB, a cell is 4 KiB"
        chromium.click("[data-space=disk] [data-zoom=all]")
        assert chromium.run("return spaces.disk.caption.textContent") == whole


@tap.case("keys do what the pointer does: cells are told, zoomed into and left, and extents chosen", browser.needed)
def _(folder):
    path, page = image(folder), os.path.join(folder, "page.html")
    vhdx("map", "--html", page, path)
    row = COLUMNS * 64 * MIB // 4096
    with browser.started(os.path.join(folder, "profile")) as chromium:
        chromium.open(page)
        chromium.press(*[browser.TAB] * 7)  # six buttons, then the disk
        assert chromium.run("return document.activeElement.id") == "disk"
        chromium.press(browser.DOWN, browser.RIGHT, browser.RIGHT, browser.LEFT)
        told = chromium.text("#told")
        assert f"The disk at {row + 16384} " in told and "free" in told, told
        chromium.press("+", "+")
        assert chromium.run("return spaces.disk.to - spaces.disk.from") == 16 * MIB
        at = chromium.run("return spaces.disk.pointed")
        assert at == row + 16384
        assert chromium.run("return document.querySelectorAll('#disk #mark').length") == 1
        # Over the edge of the window, the window moves too.
        chromium.run("spaces.disk.pointed = spaces.disk.to - 1")
        before = chromium.run("return spaces.disk.to")
        chromium.press(browser.RIGHT)
        assert chromium.run("return spaces.disk.from < arguments[0] && arguments[0] < spaces.disk.to", before)
        chromium.press("0")
        assert chromium.run("return [spaces.disk.from, spaces.disk.to]") == [0, 64 * MIB]
        chromium.run("document.querySelectorAll('#extents tbody tr')[4].focus()")
        chromium.press(browser.ENTER)
        assert "data, 2 MiB, at 0 of the disk" in chromium.text("#told"), chromium.text("#told")
        assert not chromium.complaints(), chromium.complaints()


@tap.case("the page needs nothing from elsewhere, and may get nothing", browser.needed)
def _(folder):
    page = os.path.join(folder, "page.html")
    vhdx("map", "--html", page, image(folder))
    with open(page, encoding="utf-8") as file:
        text = file.read()
    assert not re.search(r"(src|href)=|url\(|@import", text) and set(re.findall(r"https?://[^\"]*", text)) == {"http://www.w3.org/2000/svg"}
    with browser.started(os.path.join(folder, "profile")) as chromium:
        chromium.open(page)
        said = chromium.run("try { new Image().src = 'http://127.0.0.1:9/x'; const s = new XMLHttpRequest(); s.open('GET', 'http://127.0.0.1:9/', false);"
                            " s.send(); return 'sent'; } catch (e) { return e.name; }")
        assert said == "NetworkError", said
        assert any("Content Security Policy" in one for one in chromium.complaints())


@tap.case("a page of more extents than it keeps says so", tap.whole)
def _(folder):
    path = os.path.join(folder, "many.vhdx")
    vhdx("create", "-q", "--block-size", "1M", path, "64G")
    script.vhdxio(path, lines=[f"write {2 * number}M 512 1" for number in range(21000)])
    data = json.loads(re.search(r'id="data">(.*?)</script>', vhdx("map", "--html", "-", path).out, re.S)[1])
    assert len(data["extents"]) == 20000 < data["all"] and data["disk"] == 64 * GIB, data["all"]


tap.main()
