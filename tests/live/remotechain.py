#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Chains whose images are NBD exports, or some of them: parents by --parent-uri, verified, in order."""
import contextlib
import os
import re
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import command
import disks
import links
import mounts
import tap
from command import vhdx, vhdx_json
from disks import MIB
from nbdserver import Log, case, nbdkit
from script import Script
from server import Server, has, plain, refuses, served

SIZE = 24 * MIB


def parents(*uris):
    return [word for uri in uris for word in ("--parent-uri", uri)]


@contextlib.contextmanager
def chain(folder, children=2, *kit):
    """A chain, the leaf first, each image an export of a server of its own."""
    made = links.make(folder, "link", SIZE, children)[::-1]
    with contextlib.ExitStack() as stack:
        for link in made:
            # So that nothing is found beside it.
            away = os.path.join(folder, "away-" + link.name, link.name)
            os.renames(link.path, away)
            link.path = away
            link.server = stack.enter_context(nbdkit(folder, "-r", *kit, "file", link.path, name=link.name))
            link.uri = link.server.uri()
        yield made


def read_back(folder, model, uri, *words):
    out = os.path.join(folder, "out.raw")
    vhdx("convert", "--no-sync", "--force", *words, uri, out)
    assert disks.digest(out) == model.digest()
    os.unlink(out)


@case("a chain of exports is read by every verb, and info shows where each parent was")
def _(folder):
    with chain(folder) as (leaf, middle, base):
        words = parents(middle.uri, base.uri)
        read_back(folder, leaf.model, leaf.uri, *words)
        shown = vhdx_json("info", "--json", "--chain", *words, leaf.uri)
        assert [image["filename"] for image in shown] == [leaf.uri, middle.uri, base.uri], shown
        vhdx("check", "--chain", *words, leaf.uri)
        raw = leaf.model.save(os.path.join(folder, "leaf.raw"))
        vhdx("compare", *words, leaf.uri, raw)
        assert {extent["depth"] for extent in vhdx_json("map", "--json", *words, leaf.uri)} >= {0, 1, 2}
        child = os.path.join(folder, "child.avhdx")
        vhdx("diff", "-q", base.path, base.uri, child)


@case("a child's file has its parent elsewhere, and an export's parent is a file")
def _(folder):
    with chain(folder) as (leaf, middle, base):
        read_back(folder, leaf.model, leaf.path, *parents(middle.uri, base.uri))
        read_back(folder, leaf.model, leaf.uri, *parents(middle.path, base.path))
        read_back(folder, leaf.model, leaf.path, *parents(middle.path, base.uri))


@case("behind the parents that are named, a file's are looked for beside it")
def _(folder):
    with chain(folder) as (leaf, middle, base):
        beside = os.path.join(os.path.dirname(middle.path), base.name)
        os.link(base.path, beside)
        read_back(folder, leaf.model, leaf.uri, *parents(middle.path))


@case("too few parents, too many, and the wrong order are said in one line")
def _(folder):
    with chain(folder) as (leaf, middle, base):
        out = os.path.join(folder, "out.raw")
        for words, says, status in (
                ((), re.escape(leaf.uri) + ": has a parent.*parent-uri", 1),
                (parents(middle.uri), "its parent " + re.escape(middle.uri) + " has a parent.*parent-uri", 1),
                (parents(middle.uri, base.uri, base.uri), "3 parents are given by parent-uri.* 2", 1),
                (parents(base.uri, middle.uri), "DataWriteGuid is .*expected", 2),
                (parents(base.uri), "DataWriteGuid is .*expected", 2),
                (["--no-parent", *parents(base.uri)], "no-parent excludes parent-uri", 1)):
            for verb, rest in (("convert", [out]), ("map", [])):
                said = command.fails(verb, *words, leaf.uri, *rest, status=status, says=says)
                assert leaf.uri in said, said
        said = command.fails("convert", *parents(base.uri), base.uri, out, says="1 parent is given by parent-uri.* 0")
        assert not os.path.exists(out)


@case("a parent that cannot be reached, and one that is no image, are named")
def _(folder):
    with chain(folder, 1) as (leaf, _), nbdkit(folder, "memory", "1M", name="empty") as empty:
        nowhere = leaf.server.uri().replace(leaf.name, "nowhere")
        for words, says, status in ((parents(nowhere), "its parent .*nowhere.*cannot be connected to", 1),
                                    (parents(folder + "/missing"), "its parent .*missing", 1),
                                    (parents(empty.uri()), "not a VHDX image", {1, 2})):
            command.fails("map", *words, leaf.uri, says=says, status=status)
        command.fails("info", *parents(nowhere), leaf.uri, says="its parent .*nowhere")


@case("--no-parent and --ignore-id-mismatch mean what they mean for files")
def _(folder):
    with chain(folder, 1) as (leaf, base):
        assert links.digest(leaf.path, "--no-parent")[0] == export_digest(folder, leaf.uri, "--no-parent")
        vhdx("info", leaf.uri)
        other = os.path.join(folder, "other.vhdx")
        vhdx("convert", base.path, other)
        with nbdkit(folder, "-r", "file", other, name="other") as changed:
            command.fails("map", *parents(changed.uri()), leaf.uri, status=2, says="DataWriteGuid")
            said = vhdx("map", "--ignore-id-mismatch", *parents(changed.uri()), leaf.uri, loud=True)
            assert "garbage" in said.err, said


def export_digest(folder, uri, *words):
    out = os.path.join(folder, "some.raw")
    vhdx("convert", "--no-sync", "--force", *words, uri, out)
    return disks.digest(out)


@case("verbs that write chains refuse --parent-uri")
def _(folder):
    made = links.make(folder, "link", SIZE, 1)
    uri = "nbd://localhost/none"
    for words in (["commit", "--parent-uri", uri, made[1].path],
                  ["rebase", "--parent-uri", uri, "--parent", made[0].path, made[1].path],
                  ["create", "--parent-uri", uri, "--parent", made[0].path, os.path.join(folder, "new.avhdx")]):
        command.fails(*words, says="--parent-uri is for verbs that read")


@case("scattered sectors of a child do not cost a request each", has("log", "delay"))
def _(folder):
    base, child = os.path.join(folder, "base.vhdx"), os.path.join(folder, "child.avhdx")
    work = Script(disks.Model(SIZE))
    vhdx("create", "-q", base, str(SIZE))
    work.write(0, SIZE)
    work.run(base)
    vhdx("create", "-q", "--parent", base, child)
    pieces = 0
    for at in range(0, SIZE, 16384):
        work.write(at, 4096)
        pieces += 1
    work.run(child)
    log = os.path.join(folder, "log")
    with nbdkit(folder, "-r", "--filter=log", "file", child, "logfile=" + log + ".c", name="c") as leaf, \
            nbdkit(folder, "-r", "--filter=log", "file", base, "logfile=" + log + ".p", name="p") as parent:
        read_back(folder, work.model, leaf.uri(), *parents(parent.uri()))
    for part in (".c", ".p"):
        reads = Log(log + part)
        assert len(reads.of("Read")) < pieces / 2, (len(reads.of("Read")), pieces)
        assert reads.bytes("Read") < 2 * SIZE, reads.bytes("Read")


@case("serve, the plugin and mount take the names of parents", served, plain, *mounts.FUSE)
def _(folder):
    with chain(folder) as (leaf, middle, base):
        words = parents(middle.uri, base.uri)
        with Server(folder, leaf.uri, f"parent-uri={middle.uri}", f"parent-uri={base.uri}", readonly=True,
                    name="ours") as ours:
            read_back(folder, leaf.model, ours.uri)
            assert ours.stop() == 0
        out = os.path.join(folder, "served.raw")
        vhdx("serve", "--run", f'"{command.VHDX}" convert "$uri" "{out}"', *words, leaf.uri)
        assert disks.digest(out) == leaf.model.digest()
        with mounts.Mount(folder, leaf.uri, *words) as mount:
            with open(mount.path(), "rb") as file:
                assert disks.digest_stream(file) == (leaf.model.digest(), SIZE)
        refuses(folder, leaf.uri, says="has a parent.*parent-uri")
        refuses(folder, leaf.uri, f"parent-uri={base.uri}", says="DataWriteGuid")


tap.main()
