"""Results of consecutive cases in one file."""

import errno

import numpy as np
import pytest

from saljax.evaluation import blocks
from saljax.evaluation.blocks import Block, Shelf, numbered, read_map, size
from saljax.runs import store

MAPS = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32) * 1e-9


@pytest.fixture
def told():
    return []


@pytest.fixture
def shelf(tmp_path, told):
    """A function of what is kept, which makes a new reader of the same folder."""
    return lambda keep="float32": Shelf(tmp_path / "of", "hash", keep, told.append)


def filled(shelf, number, keys, keep="float32"):
    block = Block(shelf(keep), number)
    for key in keys:
        block.put(key, {"values": {"a": int(key)}}, MAPS[int(key)])
    block.write()
    return block


def test_written_and_read(shelf):
    block = filled(shelf, 0, "01")
    again = Block(shelf(), 0)
    assert again.get("1") == block.get("1") and again.get("2") is None
    np.testing.assert_array_equal(again.map(again.get("1")), MAPS[1])
    # More of them, and another value of one: what was there stays in its place.
    again.get("0")["values"]["b"] = 5
    again.put("2", {"values": {}}, MAPS[2])
    np.testing.assert_array_equal(again.map(again.get("2")), MAPS[2])
    again.write()
    third = Block(shelf(), 0)
    assert third.get("0")["values"] == {"a": 0, "b": 5}
    for key in "012":
        np.testing.assert_array_equal(read_map(third.place(third.get(key))), MAPS[int(key)])


def test_what_lies_in_another_block_is_found(shelf):
    filled(shelf, 0, "01")
    filled(shelf, 1, "2")
    block = Block(shelf(), 2)
    assert block.get("2")["values"] == {"a": 2} and block.get("3") is None
    block.write()
    block.path.with_name("000001-hash.npz").unlink()
    np.testing.assert_array_equal(Block(shelf(), 2).map(block.get("2")), MAPS[2])


def test_half_of_the_bits(shelf):
    """Small as they are: shares of the largest, and the same after being written twice."""
    block = filled(shelf, 0, "01", "float16")
    kept = block.map(block.get("1"))
    largest = np.abs(MAPS[1]).max()
    np.testing.assert_array_equal(
        kept, (MAPS[1] / largest).astype(np.float16).astype(np.float32) * largest
    )
    assert 0 < np.abs(kept - MAPS[1]).max() < 1e-3 * np.abs(MAPS[1]).max()
    again = Block(shelf("float16"), 0)
    again.put("2", {"values": {}}, MAPS[2])
    before = again.map(again.get("2"))
    again.put("3", {"values": {}}, np.zeros_like(MAPS[2]))
    again.write()
    np.testing.assert_array_equal(again.map(again.get("1")), kept)
    np.testing.assert_array_equal(again.map(again.get("2")), before)
    np.testing.assert_array_equal(again.map(again.get("3")), np.zeros_like(MAPS[2]))


def test_no_maps(shelf):
    block = filled(shelf, 0, "0", "none")
    assert "map" not in block.get("0") and block.place(block.get("0")) is None
    assert Block(shelf("none"), 0).get("0") == {"values": {"a": 0}}


@pytest.mark.parametrize("damage", [lambda data: data[:-40], lambda data: b"", lambda data: b"{}"])
def test_damaged(shelf, told, damage):
    path = filled(shelf, 0, "01").path
    path.write_bytes(damage(path.read_bytes()))
    block = Block(shelf(), 0)
    assert block.get("0") is None and told and set(told) == {path}
    block.put("0", {"values": {}}, MAPS[0])
    block.write()
    np.testing.assert_array_equal(Block(shelf(), 0).map(block.get("0")), MAPS[0])


def test_a_flipped_bit_in_a_map_is_noticed(shelf):
    path = filled(shelf, 0, "01").path
    data = bytearray(path.read_bytes())
    at = data.find(MAPS[1].tobytes())
    data[at] ^= 1
    path.write_bytes(data)
    block = Block(shelf(), 0)
    with pytest.raises(OSError, match="is damaged; remove it and run again"):
        block.map(block.get("1"))


def test_a_full_disk_leaves_what_was_there(shelf, monkeypatch):
    block = filled(shelf, 0, "01")
    before = block.path.read_bytes()
    block.put("2", {"values": {}}, MAPS[2])

    def full(*paths):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store.os, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            block.write()
    assert block.path.read_bytes() == before and len(list(block.path.parent.iterdir())) == 1
    block.write()
    assert Block(shelf(), 0).get("2") is not None


def test_maps_that_were_read_take_little_memory(shelf, monkeypatch):
    """Those of a few files, and what is written again is not among them."""
    monkeypatch.setattr(blocks, "ROOM", 3 * MAPS[0].nbytes)
    monkeypatch.setattr(blocks, "_read", {})
    there = [filled(shelf, number, "0") for number in range(5)]
    there[0].put("1", {"values": {}}, MAPS[1])
    there[0].write()
    assert not blocks._read
    for _ in range(2):
        for block in there:
            np.testing.assert_array_equal(block.map(block.get("0")), MAPS[0])
    assert [path.name[:6] for path, _ in blocks._read] == ["000002", "000003", "000004"]


def test_numbered():
    assert numbered(5, 2, (0, 1)) == [0, 1, 2]
    assert numbered(4, 2, (0, 1)) == [0, 1]
    parts = [numbered(100, 8, (part, 3)) for part in range(3)]
    assert sorted(sum(parts, [])) == numbered(100, 8, (0, 1)) == list(range(13))
    assert parts[1] == [1, 4, 7, 10]


def test_files_are_few_however_many_pictures_there_are():
    """Of 50 000 pictures, six methods, two references and what is known of the images."""
    assert size(1) == size(6400) == 32 and size(50_000) == 250 and size(1_281_167) == 256
    for cases in (6400, 6401, 50_000):
        assert len(list(numbered(cases, size(cases), (0, 1)))) * (6 + 2 + 1) < 2000
