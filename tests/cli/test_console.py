"""What all commands say, on whatever they say it to."""

import io
import os
import subprocess
import sys

import pytest

from saljax import cli
from saljax.cli import console, group


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_what_cannot_be_shown_is_escaped(monkeypatch, encoding):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    console.echo("ä 金魚 ↑ " + os.fsdecode(b"caf\xe9.png"))
    said = raw.getvalue().decode(encoding)
    fish = "金魚 ↑" if encoding == "utf-8" else r"\u91d1\u9b5a \u2191"
    assert said == f"{'ä' if encoding != 'ascii' else chr(92) + 'xe4'} {fish} caf\\udce9.png\n"


@pytest.mark.parametrize(
    ("called", "program"),
    [("/usr/bin/pytest", "saljax"), ("/x/saljax/__main__.py", "python"), ("here/saljax", "here/")],
)
def test_a_command_to_be_copied(monkeypatch, called, program):
    monkeypatch.setattr(sys, "argv", [called])
    line = console.command("explain", "a b.png", "--out", "it's")
    assert line.startswith(program)
    assert line.endswith("""saljax explain 'a b.png' --out 'it'"'"'s'""")


def test_nobody_reads_on(monkeypatch, capsys):
    """As where `head` has read enough: quietly, and nothing more is printed."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert cli.main(["models"]) == 141
        assert cli.main(["methods"]) == 0
    assert capsys.readouterr().err == ""


def test_without_what_the_command_needs(monkeypatch, capsys):
    """One line, and whoever imported us lives on; what somebody else lacks is not ours to say."""
    blocked = "import sys; sys.modules['click'] = None; import saljax.cli as c; print(c.main([]))"
    done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "2\n")
    assert done.stderr == "saljax: the command needs its extra: pip install 'saljax[cli]'\n"
    for missing in ("matplotlib.figure", "somebody.else"):

        def lacking(arguments, missing=missing):
            raise ModuleNotFoundError(name=missing)

        monkeypatch.setattr(group, "run", lacking)
        if missing == "somebody.else":
            with pytest.raises(ModuleNotFoundError):
                cli.main(["methods"])
        else:
            assert cli.main(["methods"]) == 2
            assert "saljax[cli]" in capsys.readouterr().err


def test_as_a_module():
    words = [sys.executable, "-m", "saljax", "explian"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("saljax: ") and "explain" in done.stderr
