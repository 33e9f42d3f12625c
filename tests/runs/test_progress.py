"""Progress: nothing before its time, nothing where nobody watches, nothing over what is printed."""

import io
import re
import sys
import time

import pytest
import rich.console

from saljax.runs import progress


class Terminal(io.StringIO):
    """One terminal for stdout and stderr, which is asked what is on its screen."""

    def isatty(self):
        return True

    def lines(self):
        """The four orders that a bar is drawn with, and letters; without spaces at the end."""
        rows, row, column = [""], 0, 0
        for part in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", self.getvalue()):
            if part == "\r":
                column = 0
            elif part == "\n":
                row, column = row + 1, 0
                rows += [""] * (row == len(rows))
            elif part == "\x1b[1A":
                row = max(row - 1, 0)
            elif part == "\x1b[2K":
                rows[row] = ""
            elif part[0] != "\x1b":
                before, after = rows[row][:column].ljust(column), rows[row][column + len(part) :]
                rows[row], column = before + part + after, column + len(part)
        return [line.rstrip() for line in rows]


@pytest.mark.parametrize(
    ("terminal", "patience", "shown"), [(True, 0.0, True), (True, 60.0, False), (False, 0.0, False)]
)
def test_shown_late_and_only_on_a_terminal(monkeypatch, capsys, terminal, patience, shown):
    console = rich.console.Console
    monkeypatch.setattr(progress, "PATIENCE", patience)
    monkeypatch.setattr(
        rich.console,
        "Console",
        lambda **options: console(force_terminal=terminal, **options),
    )
    with progress.progress("explaining", 3) as advance:
        advance()
        time.sleep(0.3 if patience == 0 else 0)
    said = capsys.readouterr()
    assert said.out == ""
    assert ("explaining" in said.err and "1/3" in said.err) == shown
    assert (said.err != "") == shown


def test_lines_stand_above_the_bar_and_the_bar_goes(monkeypatch):
    from saljax.cli.console import echo, say

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    with progress.progress("explaining", 3, "image") as advance:
        while "explaining" not in terminal.getvalue():
            time.sleep(0.01)
        for name in ("one", "two", "three"):
            advance()
            echo(f"{name}.png")
            *_, line, bar = terminal.lines()
            assert line == f"{name}.png" and "explaining" in bar
        say("a complaint")
        bar = terminal.lines()[-1]
        assert "3/3" in bar and "images/s" in bar and "left" in bar
    *written, _, empty = terminal.lines()
    assert written == ["one.png", "two.png", "three.png", "saljax: a complaint"] and not empty


def test_speed():
    assert progress.speed(0, 3.0, "image") == ""
    assert progress.speed(4, 2.0, "image") == "2 images/s"
    assert progress.speed(2, 25.0, "image") == "12.5 s an image"
    assert progress.speed(2, 25.0, "map") == "12.5 s a map"
    assert progress.speed(2, 25.0, "") == ""
