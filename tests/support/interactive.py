# SPDX-License-Identifier: MIT
"""A shell at a terminal, to type into: what stands on its line after a tabulator, and all that it offers."""
import contextlib
import os
import pty
import re
import select
import signal
import time

PATIENCE = 60  # seconds

# After \C-g the line is printed between marks; \C-t puts all that is offered on it.
PREPARED = {
    "bash": r"""PS1= PS2=; bind 'set enable-bracketed-paste off' 'set bell-style none' 2>/dev/null
        bind 'set bell-style none'; bind '"\C-t": insert-completions'
        bind -x '"\C-g": printf "<<%s>>\n" "$READLINE_LINE"; READLINE_LINE='
        source "$DIRECTORY/vhdx"; cd "$PLACE"; echo "rea""dy" """,
    "zsh": r"""PS1= PS2=; unsetopt zle_bracketed_paste prompt_cr prompt_sp beep; fpath=($DIRECTORY $fpath); cd $PLACE
        autoload -Uz compinit; compinit -u -D; LISTMAX=9999; bindkey -e
        told() { zle -I; print -r -- "<<$BUFFER>>"; BUFFER= }; zle -N told; bindkey '^G' told; bindkey '^I' complete-word
        zstyle ':completion:everything::::' completer _all_matches _complete; zstyle ':completion:everything:*' insert true
        zle -C everything complete-word _generic; bindkey '^T' everything; echo "rea""dy" """,
}
COMMANDS = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}


class Shell:
    def __init__(self, terminal):
        self.terminal = terminal
        self.seen = b""

    def wait(self, pattern):
        """What the terminal shows up to the pattern."""
        end = time.monotonic() + PATIENCE
        while not re.search(pattern, self.seen, re.S):
            ready = select.select([self.terminal], [], [], max(0, end - time.monotonic()))[0]
            assert ready, f"the shell does not answer: {self.seen!r}"
            self.seen += os.read(self.terminal, 65536)
        found = re.search(pattern, self.seen, re.S)
        self.seen = self.seen[found.end():]
        return found

    def type(self, keys):
        os.write(self.terminal, keys.encode())

    def _line(self, keys):
        self.type(keys + "\a")
        return self.wait(rb"<<(.*?)>>")[1].decode().replace("\r\n", "\n")

    def completed(self, line):
        """What @line becomes by a tabulator."""
        return self._line(line + "\t")

    def offered(self, line):
        """Words that may stand where @line ends with a part of one, as the shell quotes them."""
        start = line[:line.rindex(" ") + 1]
        inserted = self._line(line + "\x14")
        assert inserted.startswith(start), (line, inserted)
        return [word for word in re.split(r"(?<!\\) +", inserted[len(start):]) if word]


@contextlib.contextmanager
def shell(name, directory, place):
    """The shell with the completion that lies in @directory, in the folder @place."""
    process, terminal = pty.fork()
    if not process:
        environment = dict(os.environ, DIRECTORY=directory, PLACE=place, TERM="dumb", COLUMNS="1000", LINES="1000",
                           HISTFILE="", INPUTRC="/dev/null", HOME=place)
        os.execvpe(COMMANDS[name][0], COMMANDS[name], environment)
    try:
        found = Shell(terminal)
        path = os.path.join(directory, "prepare")
        with open(path, "w", encoding="ascii") as file:
            file.write(PREPARED[name])
        found.type(f"source {path}\n")
        found.wait(rb"ready\r?\n")
        yield found
    finally:
        os.close(terminal)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
