"""What is said of progress while tests run on a busy machine is not what they ask about."""

import pytest

from saljax.runs import progress


@pytest.fixture(autouse=True)
def no_line_now_and_then(monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 3600.0)
