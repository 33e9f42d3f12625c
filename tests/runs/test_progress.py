"""Progress: nothing before its time, nothing where nobody watches."""

import time

import pytest
from rich.console import Console

from saljax.runs import progress


@pytest.mark.parametrize(
    ("terminal", "patience", "shown"), [(True, 0.0, True), (True, 60.0, False), (False, 0.0, False)]
)
def test_shown_late_and_only_on_a_terminal(monkeypatch, capsys, terminal, patience, shown):
    monkeypatch.setattr(progress, "PATIENCE", patience)
    monkeypatch.setattr(
        progress, "Console", lambda **options: Console(force_terminal=terminal, **options)
    )
    with progress.progress("explaining", 3) as advance:
        advance()
        time.sleep(0.3 if patience == 0 else 0)
    said = capsys.readouterr()
    assert said.out == ""
    assert ("explaining" in said.err and "1/3" in said.err) == shown
    assert (said.err != "") == shown
