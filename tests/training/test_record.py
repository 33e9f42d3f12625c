"""The record of a training run: this run, another one, or none that can be read."""

import pytest

from saljax.training import record


def test_the_same_run_and_another(tmp_path):
    record.write(tmp_path, {"epochs": 3}, [{"epoch": 1}])
    assert record.same_run(tmp_path, {"epochs": 3}) == [{"epoch": 1}]
    with pytest.raises(ValueError, match="another run .epochs 3 there, 4 here"):
        record.same_run(tmp_path, {"epochs": 4})


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff", b"[]", b'{"settings": {}}'])
def test_a_record_that_is_broken_or_missing_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "training.json").write_bytes(content)
    state = "is not there" if content is None else "is damaged"
    with pytest.raises(OSError, match=rf"training\.json: {state}.*--out"):
        record.same_run(tmp_path, {})
