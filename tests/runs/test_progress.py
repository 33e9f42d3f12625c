"""Progress: nothing before its time, nothing where nobody watches, nothing over what is printed."""

import io
import sys
import time

import pyte
import pytest
import rich.console

from saljax.runs import progress


class Terminal(io.StringIO):
    """One terminal for stdout and stderr, which is asked what is on its screen."""

    def __init__(self, columns=100, rows=24):
        super().__init__()
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.Stream(self.screen)

    def isatty(self):
        return True

    def write(self, text):
        self.stream.feed(text.replace("\n", "\r\n"))  # as the driver of a terminal does
        return super().write(text)

    def lines(self):
        """What is on the screen down to the cursor, without spaces at the end."""
        return [line.rstrip() for line in self.screen.display[: self.screen.cursor.y + 1]]


def opened(monkeypatch):
    """A terminal to write to; called in the test, since pytest sets stdout before it."""
    one = Terminal()
    monkeypatch.setattr(sys, "stdout", one)
    monkeypatch.setattr(sys, "stderr", one)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    return one


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

    terminal = opened(monkeypatch)
    with progress.progress("explaining", 3, "image") as advance:
        while "explaining" not in terminal.getvalue():
            time.sleep(0.01)
        for name in ("one", "two", "three"):
            advance(work=f"after {name}")
            echo(f"{name}.png")
            *_, line, bar = terminal.lines()
            assert line == f"{name}.png" and "explaining" in bar and f"after {name}" in bar
        say("a complaint")
        bar = terminal.lines()[-1]
        assert "3/3" in bar and "images/s" in bar and "left" in bar
    *written, empty = terminal.lines()
    assert written == ["one.png", "two.png", "three.png", "saljax: a complaint"] and not empty


def test_a_line_now_and_then_where_no_terminal_is(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "EVERY", 0.02)
    with progress.progress("explaining", 4, "image") as advance:
        advance(work="b.png")
        time.sleep(0.2)
        first = capsys.readouterr()
        advance(work="c.png")
        time.sleep(0.2)
    second = capsys.readouterr().err.splitlines()[0]
    # The first took a compilation too, and says nothing of how long the others will take.
    assert (
        first.out == "" and first.err.splitlines()[0] == "saljax: explaining 1/4 after 0 s, b.png"
    )
    assert second.startswith("saljax: explaining 2/4 after 0 s, ")
    assert "image" in second and second.endswith(" left, c.png")
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_how_much_of_one_is_done_goes_by_the_clock(monkeypatch):
    """Of the seconds it is expected to take, and never all of it."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    guess = progress._Tally(1)
    shares = [guess.share]
    guess.advance(0, expected=20.0)
    for now[0] in (5.0, 90.0):
        shares.append(guess.share)
    guess.advance(1)
    now[0] = 100.0
    assert [*shares, guess.share] == [0.0, 0.25, 0.95, 0.5]


def test_the_bar_moves_within_an_item(monkeypatch):
    """Where it ends has a sign of its own, which an empty bar has not."""
    terminal = opened(monkeypatch)
    with progress.progress("explaining", 1, "image") as advance:
        while "explaining" not in terminal.getvalue():
            time.sleep(0.01)
        assert "\u257a" not in terminal.getvalue()
        advance(0, work="a.png", expected=1e-3)
        time.sleep(0.01)
        advance(0, work="b.png")
        while "b.png" not in (bar := terminal.lines()[-1]):
            time.sleep(0.01)
        assert "0/1" in bar and "\u257a" in bar


def test_what_was_done_before_is_not_counted(monkeypatch, capsys):
    """On a terminal and elsewhere: two of six are there, one of the other four is done."""
    with monkeypatch.context() as patch:
        terminal = opened(patch)
        with progress.progress("explaining", 6, "image") as advance:
            while "explaining" not in terminal.getvalue():
                time.sleep(0.01)
            advance(0, spared=2)
            advance(work="b.png")
            while "b.png" not in (bar := terminal.lines()[-1]):
                time.sleep(0.01)
        assert "1/4" in bar
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "EVERY", 0.02)
    with progress.progress("explaining", 6, "image") as advance:
        advance(1, spared=2)
        time.sleep(0.1)
    assert capsys.readouterr().err.startswith("saljax: explaining 1/4 after")


def test_quiet(monkeypatch):
    terminal = opened(monkeypatch)
    with progress.progress("explaining", 4, "image", quiet=True) as advance:
        advance(work="b.png")
        time.sleep(0.05)
    assert terminal.getvalue() == ""


def test_speed():
    assert progress.speed(0, 3.0, "image") == ""
    assert progress.speed(4, 2.0, "image") == "2 images/s"
    assert progress.speed(2, 25.0, "image") == "12.5 s an image"
    assert progress.speed(2, 25.0, "map") == "12.5 s a map"
    assert progress.speed(2, 25.0, "") == ""
