"""Kill `saljax evaluate` at random moments: is the table that of a run nobody disturbed?

Generated birds and their boxes are written to a folder and evaluated once in peace. Then a second
run is killed (SIGKILL, its whole process group) again and again, each time after a random number
of its files were written and a random second more, and started again. After every kill all its
files must be whole, and have what they had before; and at the end tables, maps, measurements and
picture must equal those of the first run byte for byte, times aside.

    python experiments/kill_test.py --kills 10 --images 24 --out FOLDER
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
from PIL import Image

from saljax.data import birdlets

SEED = 29
METHODS = "glas,rise,grad_cam"
BLOCK = 2
"""Images in one file of results."""
SETTINGS = ("glas.grid=6", "rise.num_masks=200")


def write_birds(folder: pathlib.Path, number: int) -> list[str]:
    """Pictures and boxes; the words of the command line that evaluate them."""
    (folder / "birds").mkdir(parents=True)
    found = []
    for index in range(number):
        sample, name = birdlets.sample(SEED, index), f"bird{index:03d}.png"
        pixels = np.round(255 * sample.image).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "birds" / name)
        label = birdlets.SPECIES[sample.label]
        found.append({"file": name, "label": label, "boxes": [list(map(float, sample.box))]})
    (folder / "boxes.json").write_text(json.dumps(found))
    return ["--data", str(folder / "birds"), "--boxes", str(folder / "boxes.json")]


def start(words: list[str], out: pathlib.Path) -> subprocess.Popen:
    """The command, in a process group of its own."""
    command = [sys.executable, "-c", "from saljax.cli import main; raise SystemExit(main())"]
    return subprocess.Popen(
        [*command, "evaluate", *words, "--out", str(out)],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )


def results(out: pathlib.Path) -> list[pathlib.Path]:
    """Files that a run has finished, hidden ones (of a write that was cut short) left out."""
    there = [path for path in out.rglob("*") if not path.name.startswith(".")]
    return sorted(path for path in there if path.is_file())


def block(path: pathlib.Path) -> tuple[dict[str, dict], list[bytes]]:
    """Entries of a file of results, without times, and its maps."""
    with np.load(path, allow_pickle=False) as file:
        entries = json.loads(file["entries"].tobytes())
        maps = [one.tobytes() for one in file["maps"]] if "maps" in file.files else []
    return {key: {k: v for k, v in e.items() if k != "seconds"} for key, e in entries.items()}, maps


def maps_of(out: pathlib.Path) -> dict[tuple[str, str], bytes]:
    """All maps that are there, by method and key; an error where a file is not whole."""
    found = {}
    for path in out.glob("blocks/of/*/[!.]*.npz"):
        entries, maps = block(path)
        found |= {(path.parent.name, key): maps[one["map"]] for key, one in entries.items()}
    return found


def check_whole(out: pathlib.Path) -> None:
    """Read every file to its end; an error if one is damaged."""
    for path in results(out):
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                _ = [file[name] for name in file.files]
        elif path.suffix == ".json":
            json.loads(path.read_text())


def contents(out: pathlib.Path) -> dict[str, object]:
    """All results without times and the command, by their names."""
    found: dict[str, object] = {}
    for path in results(out):
        name = str(path.relative_to(out))
        if name == "table.json":
            record = json.loads(path.read_text())
            record["settings"].pop("command")
            found[name] = {k: v for k, v in record.items() if k != "seconds"}
        elif path.suffix == ".md":
            parts = path.read_text().split("### ")
            found[name] = [part for part in parts if not part.startswith("Overall")]
        else:
            found[name] = block(path) if "blocks" in path.parts else path.read_bytes()
    return found


def disturb(
    words: list[str],
    out: pathlib.Path,
    kills: int,
    total: int,
    rng: random.Random,
    linger: float,
) -> int:
    """Kill the command again and again; how many of the kills met it alive."""
    written: dict[tuple[str, str], bytes] = {}
    alive = 0
    for moment in sorted(rng.randrange(total) for _ in range(kills)):
        process = start(words, out)
        while process.poll() is None and len(results(out)) < moment:
            time.sleep(0.01)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(linger * rng.random())
        alive += process.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        check_whole(out)
        maps = maps_of(out)
        if not maps.items() >= written.items():
            raise SystemExit("a map was lost, or is another")
        written = maps
        print(f"killed with {len(results(out))} of {total} files there", flush=True)
    return alive


def survive(
    folder: pathlib.Path,
    kills: int,
    images: int,
    words: list[str],
    seed: int = 0,
    linger: float = 1.0,
) -> dict[str, int]:
    """Evaluate in peace and under kills; an error unless both give the same.

    Args:
        folder: for everything, made here.
        kills: number of them.
        images: generated birds.
        words: of the command line, beside data, boxes and folder.
        seed: of the moments.
        linger: most seconds from the file that was waited for to the kill.

    Returns:
        What there is to report.
    """
    words = [*write_birds(folder, images), *words, "--page", "0"]
    peaceful, disturbed = folder / "peaceful", folder / "disturbed"
    if start(words, peaceful).wait():
        raise SystemExit("the undisturbed run failed")
    expected = contents(peaceful)
    in_work = sum(name.startswith("blocks") for name in expected)
    alive = disturb(words, disturbed, kills, in_work, random.Random(seed), linger)
    written = maps_of(disturbed)
    if start(words, disturbed).wait():
        raise SystemExit("the last run failed")
    found = contents(disturbed)
    different = sorted(n for n in expected | found if expected.get(n) != found.get(n))
    if different:
        raise SystemExit(f"{len(different)} files differ: {', '.join(different[:10])}")
    return {
        "kills": kills,
        "kills that met it at work": alive,
        "maps": len(maps_of(disturbed)),
        "maps kept over the kills": len(written),
        "files compared": len(expected),
        "writes cut short": len(list(disturbed.rglob(".*.part"))),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Kill saljax evaluate at random moments.")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    settings = [word for text in SETTINGS for word in ("--set", text)]
    asked = ["--methods", METHODS, *settings, "--block-size", str(BLOCK)]
    for name, value in survive(
        options.out, options.kills, options.images, asked, options.seed
    ).items():
        print(f"{name}: {value}")
