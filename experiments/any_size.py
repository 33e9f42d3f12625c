"""`saljax evaluate` on many pictures: memory over time, files, and its speed beside the bare calls.

Generated birds are written to a folder (once; a folder that is there is taken). Then:

- the command runs as a process of its own, whose resident memory is looked at every second;
- the same methods and metrics are called on the same pictures, decoded before, in batches of the
  same size, with nothing around them: before the command, in its middle (it is stopped meanwhile,
  by SIGSTOP) and after it, as other work may share the machine. The command's speed is that between
  its first file of results and its last, as the bare calls' is without what compiles;
- two shards, in two processes at once, then the command without --shard: all it writes must be
  what the first wrote, times aside.

    python experiments/any_size.py --pictures 20000 --folder FOLDER
"""

import argparse
import functools
import json
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from kill_test import contents, results
from PIL import Image

from saljax.data import birdlets

SEED, OF_EACH = 41, 10
"""Of the birds, and pictures of each: as it is drawn and mirrored, in five lights."""
METHODS = ("grad_cam", "gradient", "input_x_gradient")
METRICS = ("pointing_game", "relevance_mass", "score_drop", "sparseness")
BATCH, BLOCK = 32, 256
"""Pictures in one call, and in one file of results."""
BARE_BATCHES = 12
"""Of the bare calls, each time."""
SHARES = 0.1, 0.2, 0.4, 0.6, 0.8, 1
"""Of the pictures, after which the memory is said."""
COMMAND = [sys.executable, "-c", "from saljax.cli import main; raise SystemExit(main())"]


def draw(folder: pathlib.Path, index: int) -> list[dict]:
    """Write one bird, mirrored and in less light too; what the file of boxes says of them."""
    bird = birdlets.sample(SEED, index)
    side = len(bird.image)
    x1, y1, x2, y2 = map(float, bird.box)  # edges; corners are inside
    boxes = [[x1, y1, x2 - 1, y2 - 1], [side - x2, y1, side - x1 - 1, y2 - 1]]
    found = []
    for number in range(OF_EACH):
        image = bird.image[:, ::-1] if number % 2 else bird.image
        pixels = np.round((255 - 10 * (number // 2)) * image).astype(np.uint8)
        name = f"{index:06}-{number}.png"
        Image.fromarray(pixels).save(folder / name)
        label = birdlets.SPECIES[bird.label]
        found.append({"file": name, "label": label, "boxes": [boxes[number % 2]]})
    return found


def write_birds(folder: pathlib.Path, number: int) -> None:
    """Pictures in folder/birds and their boxes in folder/boxes.json."""
    boxes = folder / "boxes.json"
    if boxes.exists() and len(json.loads(boxes.read_text())) == number:
        return
    (folder / "birds").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        one = functools.partial(draw, folder / "birds")
        found = list(pool.map(one, range(number // OF_EACH), chunksize=25))
    boxes.write_text(json.dumps(sum(found, [])))


def words(folder: pathlib.Path, out: str, *more: str) -> list[str]:
    """The command line."""
    return [
        *COMMAND, "evaluate", "--data", str(folder / "birds"),
        "--boxes", str(folder / "boxes.json"), "--methods", ",".join(METHODS),
        "--metrics", ",".join(METRICS), "--no-references", "--batch-size", str(BATCH),
        "--block-size", str(BLOCK), "--keep-maps", "float16", "--page", "0", "--pictures", "0",
        "--out", str(folder / out), *more,
    ]  # fmt: skip


class Bare:
    """The same methods and metrics of the same pictures, and nothing else."""

    def __init__(self, folder: pathlib.Path):
        import jax

        import saljax
        from saljax.data import boxes
        from saljax.evaluation import measures, rows
        from saljax.evaluation.measures import Batched
        from saljax.runs import classifier, loop

        known = classifier.load("birdlets", None)
        self._score_fns = {"logits": known.logits, "probabilities": known.probabilities}
        self._measures = measures.measures(",".join(METRICS), {}, known.about, True)
        self._explain, self._loop, self._batched, self._jax = saljax.explain, loop, Batched, jax
        self._rows = rows.rows(",".join(METHODS), {}, known.about.layer, False)
        found = json.loads((folder / "boxes.json").read_text())[: BATCH * BARE_BATCHES]
        self._batches = []
        for first in range(0, len(found), BATCH):
            part = found[first : first + BATCH]
            files = [folder / "birds" / one["file"] for one in part]
            pixels = np.stack([np.asarray(Image.open(file), np.float32) / 255 for file in files])
            labels = np.asarray([birdlets.SPECIES.index(one["label"]) for one in part], np.int32)
            corners = np.stack([boxes.padded(one["boxes"], 1) for one in part])
            self._batches.append((pixels, labels, corners))
        self.once()  # compiles

    def once(self) -> None:
        """All of one batch."""
        self._of(*self._batches[0])

    def seconds(self) -> tuple[float, float]:
        """A picture: of the clock, and of processors."""
        start = time.perf_counter(), time.process_time()
        for batch in self._batches:
            self._of(*batch)
        took = time.perf_counter() - start[0], time.process_time() - start[1]
        number = BATCH * len(self._batches)
        return took[0] / number, took[1] / number

    def _of(self, pixels, labels, corners) -> None:
        wait, np_of = self._loop.wait, np.asarray
        images = self._jax.numpy.asarray(pixels)
        np_of(wait(self._loop.score(self._score_fns["probabilities"], images)))
        for row in self._rows:
            score_fn = self._score_fns[row.explains]
            maps = np_of(wait(self._explain(row.method, score_fn, images, labels)))
            for measure in self._measures:
                given = {"images": images, "score_fn": self._score_fns[measure.known.scores]}
                asked = given if measure.known.needs == "classifier" else {}
                found = measure.program(self._batched(labels, maps, corners, **asked))
                self._jax.tree.map(lambda array: np_of(wait(array)), found)


class Watched:
    """A process, and what memory it has taken over time."""

    def __init__(self, command: list[str], folder: pathlib.Path):
        self._folder, self._start = folder, time.monotonic()
        self.process = subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.PIPE, text=True
        )
        self.seen: list[tuple[int, int, float]] = []
        """Again and again: files of results there, MiB, and processor seconds so far."""
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while self.process.poll() is None:
            place = pathlib.Path(f"/proc/{self.process.pid}")
            try:
                lines = (place / "status").read_text().splitlines()
                times = (place / "stat").read_text().rpartition(")")[2].split()[11:13]
            except OSError:
                return
            facts = dict(line.split(":", 1) for line in lines)
            if "VmRSS" in facts:
                seconds = sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
                memory = int(facts["VmRSS"].split()[0]) >> 10
                self.seen.append((len(self.blocks()), memory, seconds))
            time.sleep(0.5)

    def blocks(self) -> list[pathlib.Path]:
        """Of the last method, in the order of their time."""
        found = (self._folder / "blocks" / "of" / METHODS[-1]).glob("*.npz")
        return sorted(found, key=lambda path: path.stat().st_mtime)

    def stopped(self, do) -> tuple[float, object]:
        """Do something while it is stopped; seconds of that, and what came of it."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        start = time.time()
        found = do()
        os.killpg(self.process.pid, signal.SIGCONT)
        return time.time() - start, found

    def at(self, blocks: int) -> tuple[int, int, float]:
        """What was seen when so many blocks were there."""
        return next((one for one in self.seen if one[0] >= blocks), self.seen[-1])


def measured(folder: pathlib.Path, number: int) -> dict[str, str]:
    """Run the command beside the bare calls."""
    out, bare, of_bare = folder / "whole", Bare(folder), []
    of_bare.append(bare.seconds())
    start = time.time()
    watched = Watched(words(folder, "whole"), out)
    half, pause = number // BLOCK // 2, 0.0
    while watched.process.poll() is None and len(watched.blocks()) < half:
        time.sleep(0.2)
    if watched.process.poll() is None:
        pause, seconds = watched.stopped(bare.seconds)
        of_bare.append(seconds)
    said, _ = watched.process.communicate()
    if watched.process.returncode:
        raise SystemExit("the command failed")
    whole = time.time() - start - pause
    of_bare.append(bare.seconds())
    times = [path.stat().st_mtime for path in watched.blocks()]
    steady = (number - BLOCK) / (times[-1] - times[0] - pause)
    clock, processor = np.mean(of_bare, axis=0)
    first, last = watched.at(1), watched.at(len(times))
    used = (last[2] - first[2]) / (number - BLOCK * first[0])
    files = results(out)
    sizes = sum(path.stat().st_size for path in files)
    memory = [str(watched.at(round(share * len(times)))[1]) for share in SHARES]
    bare_times = ", ".join(f"{1 / seconds:.1f}" for seconds, _ in of_bare)
    return {
        "pictures, methods, metrics": f"{number}, {len(METHODS)}, {len(METRICS)}",
        "seconds of the command": f"{whole:.0f}",
        "pictures a second, between its first block and its last": f"{steady:.1f}",
        "pictures a second, bare calls before, in the middle, after": bare_times,
        "the command's of the bare calls'": f"{steady * clock:.2f}",
        "processor seconds a picture, command (likewise) and bare": f"{used:.4f}, {processor:.4f}",
        f"MiB after {', '.join(map(str, SHARES))} of the pictures": ", ".join(memory),
        "most MiB, with the table": str(max(mib for _, mib, _ in watched.seen)),
        "files": f"{len(files)}, {sizes >> 20} MiB",
        "said": said.strip().splitlines()[-1].rpartition("; ")[2],
    }


def sharded(folder: pathlib.Path) -> str:
    """Two shards at once, then all; what differs from the first run is an error."""
    start = time.time()
    parts = [subprocess.Popen(words(folder, "parts", "--shard", f"{i}/2")) for i in range(2)]
    if any([part.wait() for part in parts]):
        raise SystemExit("a shard failed")
    shards = time.time() - start
    subprocess.run(words(folder, "parts"), check=True, stdout=subprocess.DEVNULL)
    whole, merged = contents(folder / "whole"), contents(folder / "parts")
    different = [name for name in whole | merged if whole.get(name) != merged.get(name)]
    if different:
        raise SystemExit(f"{len(different)} files differ: {', '.join(sorted(different)[:10])}")
    merging = time.time() - start - shards
    return f"{len(whole)} of {len(whole)} files ({shards:.0f} s, then {merging:.0f} s)"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Evaluate many generated birds.")
    parser.add_argument("--pictures", type=int, default=20000)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    options = parser.parse_args()
    write_birds(options.folder, options.pictures)
    for name, value in measured(options.folder, options.pictures).items():
        print(f"{name}: {value}", flush=True)
    print(f"two shards, merged, equal to one run: {sharded(options.folder)}")
