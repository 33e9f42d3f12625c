"""Kill `saljax evaluate` at random moments: is the table that of a run nobody disturbed?

Generated birds and their boxes are written to a folder and evaluated once in peace. Then in three
other runs processes are killed (SIGKILL) again and again, each time after a random number of files
were written and up to 0.3 random seconds more:

    main     the command, with its whole process group, and started again;
    shards   one of two, each with half of the blocks, and started again;
    ray      a worker of two; the command itself goes on.

After every kill all files must be whole, and have what they had before; and at the end tables,
maps, measurements, pictures and page must equal those of the first run byte for byte, times and
the command aside.

    python experiments/kill_test.py --kills 7 6 7 --images 16 --out FOLDER
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import numpy as np
from PIL import Image

from saljax.data import birdlets

SEED = 29
METHODS = "glas,rise,grad_cam"
BLOCK = 1
"""Images in one file of results."""
SETTINGS = ("glas.grid=6", "rise.num_masks=200")
METRICS = "pointing_game,skewness,score_drop"
WAYS = ("main", "shards", "ray")


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
        elif path.name == "data.js":
            found[name] = re.sub(r'"seconds":[^,}]*', "", path.read_text())
        elif path.name == "index.html":
            found[name] = re.sub(r"saljax evaluate [^<]*", "", path.read_text())
        else:
            found[name] = block(path) if "blocks" in path.parts else path.read_bytes()
    return found


class Watched:
    """A run that is disturbed.

    Attributes:
        out: its folder.
        rng: of what is left to chance.
        alive: kills that met a process at work.
        there: files at each kill.
    """

    def __init__(self, out: pathlib.Path, rng: random.Random, linger: float):
        self.out, self.rng, self._linger = out, rng, linger
        self.alive, self.there = 0, list[int]()
        self.maps: dict[tuple[str, str], bytes] = {}

    def wait(self, moment: int, processes: list[subprocess.Popen]) -> None:
        """Until so many files are there and a random moment has passed, or all have ended."""
        while len(results(self.out)) < moment and any(p.poll() is None for p in processes):
            time.sleep(0.01)
        time.sleep(self._linger * self.rng.random())

    def killed(self, alive: bool) -> None:
        """Look at all files; an error if one is damaged, or a map was lost."""
        self.alive += alive
        check_whole(self.out)
        maps = maps_of(self.out)
        if not maps.items() >= self.maps.items():
            raise SystemExit("a map was lost, or is another")
        self.maps = maps
        self.there.append(len(results(self.out)))
        print(f"{self.out.name}: killed with {self.there[-1]} files there", flush=True)


def end(process: subprocess.Popen) -> bool:
    """Kill its whole group; whether it was alive."""
    alive = process.poll() is None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return alive


def disturb_main(words: list[str], run: Watched, moments: list[int]) -> None:
    """Kill the command and start it again."""
    for moment in moments:
        process = start(words, run.out)
        run.wait(moment, [process])
        run.killed(end(process))
    if start(words, run.out).wait():
        raise SystemExit("the last run failed")


def disturb_shards(words: list[str], run: Watched, moments: list[int]) -> None:
    """Kill one of two shards while the other goes on, and start it again."""
    parts = [[*words, "--shard", f"{part}/2"] for part in range(2)]
    both = [start(part, run.out) for part in parts]
    for moment in moments:
        run.wait(moment, both)
        which = run.rng.randrange(2)
        run.killed(end(both[which]))
        both[which] = start(parts[which], run.out)
    if any(process.wait() for process in both) or start(words, run.out).wait():
        raise SystemExit("the last run failed")


def disturb_ray(words: list[str], run: Watched, moments: list[int]) -> None:
    """Kill one of two workers; the command replaces it."""
    process = start([*words, "--engine", "ray", "--workers", "2"], run.out)
    for moment in moments:
        run.wait(moment, [process])
        workers = workers_of(process.pid)
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(run.rng.choice(workers), signal.SIGKILL)
        run.killed(bool(workers))
    if process.wait():
        raise SystemExit("the command that lost its workers failed")


def workers_of(driver: int) -> list[int]:
    """Processes of the workers that a command started: children of its child, the raylet."""
    said = subprocess.check_output(["ps", "-eo", "pid=,ppid=,args="], text=True)
    there = [line.split(None, 2) for line in said.splitlines()]
    children = {pid for pid, parent, _ in there if int(parent) == driver}
    workers = [int(p) for p, parent, args in there if parent in children and "ray::Worker" in args]
    return sorted(workers)


def survive(
    folder: pathlib.Path,
    kills: dict[str, int],
    images: int,
    words: list[str],
    seed: int = 0,
    linger: float = 0.3,
) -> dict[str, dict[str, object]]:
    """Evaluate in peace and under kills; an error unless both give the same.

    Args:
        folder: for everything, made here.
        kills: number of them, by way.
        images: generated birds.
        words: of the command line, beside data, boxes and folder.
        seed: of the moments.
        linger: most seconds from the file that was waited for to the kill.

    Returns:
        What there is to report, by way.
    """
    words, peaceful = [*write_birds(folder, images), *words], folder / "peaceful"
    if start(words, peaceful).wait():
        raise SystemExit("the undisturbed run failed")
    expected, reports = contents(peaceful), {}
    in_work = sum(name.startswith("blocks") for name in expected)
    disturb = {"main": disturb_main, "shards": disturb_shards, "ray": disturb_ray}
    for way, number in kills.items():
        rng = random.Random(f"{way} {seed}")
        run = Watched(folder / way, rng, linger)
        disturb[way](words, run, sorted(rng.randrange(in_work) for _ in range(number)))
        found = contents(run.out)
        different = sorted(n for n in expected | found if expected.get(n) != found.get(n))
        if different:
            raise SystemExit(f"{way}: {len(different)} files differ: {', '.join(different[:10])}")
        reports[way] = {
            "kills": number,
            "kills that met it at work": run.alive,
            f"files there at each kill, of {in_work}": run.there,
            "maps": len(maps_of(run.out)),
            "maps kept over the kills": len(run.maps),
            "files compared": len(expected),
            "writes cut short": len(list(run.out.rglob(".*.part"))),
        }
    return reports


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Kill saljax evaluate at random moments.")
    parser.add_argument("--kills", type=int, nargs=len(WAYS), default=(7, 6, 7), metavar=WAYS)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    settings = [word for text in SETTINGS for word in ("--set", text)]
    asked = ["--methods", METHODS, "--metrics", METRICS, *settings, "--block-size", str(BLOCK)]
    asked += ["--batch-size", "1"]
    kills = {way: number for way, number in zip(WAYS, options.kills, strict=True) if number}
    reports = survive(options.out, kills, options.images, asked, options.seed)
    for way, report in reports.items():
        print(f"{way}: {json.dumps(report)}")
