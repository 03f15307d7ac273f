#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the shells offer on a tabulator: verbs, the options of --help, the values that are known, files."""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "support")]

import re

import command
import tap
from command import VHDX, run, vhdx

SCRIPT = os.path.join(HERE, os.pardir, os.pardir, "completion", "generate")

ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
say() { zpty -w shell "$1"; }
say "PS1=; unsetopt zle_bracketed_paste prompt_cr prompt_sp; stty -echo; fpath=($1 \$fpath); cd $2"
say 'autoload -Uz compinit; compinit -u -D; zstyle ":completion:*" list-colors; LISTMAX=9999; COLUMNS=80 LINES=200'
say 'compadd() { for one; do [[ $one == -[OAD] ]] && { builtin compadd "$@"; return }; done
	typeset -a found; builtin compadd -A found "$@"; for one in $found; do print -r -- "<$one>"; done; builtin compadd "$@"; }'
say 'show() { compstate[insert]=; compstate[list]=; }; tell() { _main_complete; show; print -r -- "<end>"; }'
say 'zle -C tell complete-word tell; bindkey "^I" tell; print -r -- "<ready>"'
zpty -r shell line '*<ready>*<ready>*'
zpty -w -n shell "$3"$'\t'
zpty -r shell line '*<end>*'
print -r -- "$line"
zpty -d shell
"""


def made(shell, folder):
    path = os.path.join(folder, "_vhdx")
    run([SCRIPT, shell, os.path.realpath(VHDX), path])
    return path


def bash(folder, words):
    """What bash offers for the last of @words."""
    path = made("bash", folder)
    quoted = " ".join(f"'{word}'" for word in words)
    text = f"source '{path}'; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _vhdx; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return set(run(["bash", "-u", "-c", text], cwd=folder).out.split())


def zsh(folder, words):
    os.makedirs(os.path.join(folder, "functions"), exist_ok=True)
    os.rename(made("zsh", folder), os.path.join(folder, "functions", "_vhdx"))
    said = command.run(["zsh", "-f", "-c", ZSH, "zsh", os.path.join(folder, "functions"), folder, " ".join(words)], cwd=folder)
    return set(re.findall(r"<([^<>]*)>", said.out)) - {"end", "ready"}


def options_of(verb):
    return {name for pair in re.findall(r"^ {2}(-\w)?(?:, )? *(--[\w-]+)?", vhdx(verb, "--help").out, re.M)
            for name in pair if name}


def fill(folder):
    os.mkdir(os.path.join(folder, "somewhere"))
    with open(os.path.join(folder, "some.vhdx"), "wb"):
        pass


def add(shell, offer):
    @tap.case(f"{shell} offers verbs, options, values and files", tap.tool(shell))
    def _(folder):
        fill(folder)
        assert {"create", "convert", "serve"} <= offer(folder, ["vhdx", ""])
        assert offer(folder, ["vhdx", "com"]) == {"compare", "commit", "compact"}
        for verb in "convert", "create", "dump":
            offered = offer(folder, ["vhdx", verb, "--"])
            known = {name for name in options_of(verb) if name.startswith("--")}
            assert offered == known, (shell, verb, offered ^ known)
        assert offer(folder, ["vhdx", "create", "--type", ""]) == {"dynamic", "fixed"}
        assert offer(folder, ["vhdx", "create", "--sector-size", ""]) == {"512", "4096"}
        assert offer(folder, ["vhdx", "convert", "-O", "v"]) == {"vhdx"}
        assert {"some.vhdx"} <= {name.rstrip("/") for name in offer(folder, ["vhdx", "info", "some."])}
        folders = {name.rstrip("/") for name in offer(folder, ["vhdx", "info", "--parent-dir", "some"])}
        assert folders == {"somewhere"}, folders
        assert offer(folder, ["vhdx", "dump", "--json", "m"]) == {"metadata"}


add("bash", bash)
add("zsh", zsh)


tap.main()
