"""`saljax evaluate`: methods compared by metrics, on many photographs."""

import contextlib
import functools
import signal
from pathlib import Path
from typing import Any

import click

from saljax.cli import options, report
from saljax.cli.console import MISTAKE, command, echo, mistakes, say
from saljax.cli.interrupt import heard_twice


class Shard(click.ParamType):
    """A part of the work."""

    name = "i/n"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """`"3/16"` -> (3, 16)."""
        from saljax.runs import shards

        try:
            return shards.parse(value)
        except ValueError as error:
            self.fail(f"{error}.")


@click.command()
@click.option(
    "--data",
    metavar="FOLDER|tfds:NAME",
    required=True,
    type=options.File(),
    help="Photographs: FOLDER/*.jpg; or FOLDER/CLASS/*.jpg or FOLDER/val/CLASS/*.jpg, in folders "
    "named after their classes; or of TensorFlow Datasets, with their boxes, such as "
    "tfds:voc/2007:test.",
)
@click.option(
    "--boxes",
    metavar="FILE|FOLDER",
    type=options.File(),
    help="Boxes of their objects, as data sets have them: COCO JSON, a folder of XML (Pascal VOC, "
    "ImageNet), LOC_val_solution.csv, the folder of CUB-200-2011, FGVC-Aircraft, Oxford-IIIT "
    "pets or iChallenge-PM; or .json, .jsonl, .csv or .tsv of your own. A list PICTURE CLASS gives "
    "classes alone. Without it, metrics that need none.",
)
@click.option(
    "--boxes-format",
    type=click.Choice(["pixels", "normalized"]),
    help="Corners in pixels of the file, or as shares of its width and height.  [default: pixels, "
    "but where all lie in 0..1 it must be said]",
)
@click.option(
    "--split",
    type=click.Choice(["train", "test"]),
    help="Only these pictures, where --boxes says which are which: CUB-200-2011, FGVC-Aircraft, "
    "Stanford Cars, Oxford-IIIT pets. Of TensorFlow Datasets: tfds:NAME:SPLIT.",
)
@options.model("birdlets")
@options.weights
@options.own
@options.precision
@click.option(
    "--methods",
    default="glas",
    show_default=True,
    metavar="A,B,...",
    help="See `saljax methods`; `fine=glas` is glas under a name of its own, and FILE.py:NAME a "
    "method of yours.",
)
@click.option(
    "--metrics",
    metavar="A,B,...",
    help="See `saljax metrics`; all: all that can be measured; FILE.py:NAME: one of yours.  "
    "[default: those that cost little]",
)
@click.option(
    "--set",
    "texts",
    multiple=True,
    metavar="NAME.KEY=VALUE",
    help="A hyperparameter of a method or metric, such as fine.sigma_light=1.5; may be repeated.",
)
@click.option(
    "--target",
    metavar="CLASS",
    help="Class to explain: label, the one of the boxes or of the folder; or top-1, the predicted "
    "one; or a name or index for all.  [default: label where there are any, else top-1]",
)
@click.option(
    "--number",
    type=click.IntRange(min=1),
    help="Only the first photographs, by name; of folders of classes, of each in turn.",
)
@click.option(
    "--references/--no-references",
    default=True,
    show_default=True,
    help="Compare with `center` and `random`, maps that do not look at the classifier.",
)
@click.option(
    "--pictures",
    default=8,
    show_default=True,
    type=click.IntRange(min=0),
    help="Photographs in the picture.",
)
@click.option(
    "--page",
    default=500,
    show_default=True,
    type=click.IntRange(0, 5000),
    help="Photographs in page/index.html; 0: no page. `saljax report` makes one later.",
)
@click.option(
    "--per-class", is_flag=True, help="Also write per_class.csv, the table of each class by itself."
)
@click.option(
    "--keep-maps",
    type=click.Choice(["float32", "float16", "none"]),
    default="float32",
    show_default=True,
    help="What is kept of the maps; float16: half the room, and metrics are of the rounded map.",
)
@click.option(
    "--shard",
    metavar="I/N|auto",
    type=Shard(),
    help="Only this part of the work, I from 0 to N - 1; auto: from Slurm, Kubernetes or "
    "jax.distributed. When all parts are done, the command without it makes the table.",
)
@click.option(
    "--block-size",
    type=click.IntRange(min=1),
    help="Photographs in one file of results, the least that a shard takes.  [default: 32 to 256, "
    "about 200 files a method]",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="What works at the blocks: this process, or workers on a cluster of Ray, which all see "
    "the same files; one that dies is replaced.",
)
@click.option(
    "--ray-address",
    metavar="HOST:PORT",
    help="Of a cluster of Ray that is there; auto: the one that this machine belongs to.  "
    "[default: one is started on this machine, and ended]",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Of the engine ray.  [default: one a GPU; without GPUs one a machine]",
)
@options.seed
@options.batch_size
@options.values
@options.framing
@options.out("evaluation")
@click.pass_context
def evaluate(
    ctx: click.Context,
    data: Path,
    boxes: Path | None,
    boxes_format: Any,
    pictures: int,
    page: int,
    per_class: bool,
    shard: tuple[int, int] | None,
    engine: str,
    ray_address: str | None,
    workers: int | None,
    out: Path,
    **others: Any,
) -> None:
    """Compare methods on photographs whose objects are known.

    Writes the table as table.md, .csv, .tex, and .json with all settings; values.csv, a line an
    image, method and metric; differences.csv, paired, with intervals; curves.csv, curves.png and
    pictures.png; page/index.html, to look at all of it; under blocks what they are made from.
    Interrupted, the same command goes on where it was; with other settings it computes what they
    change. Ctrl-C ends it after the block in work, a second one at once.
    """
    import jax

    from saljax.cli import evaluate_asked
    from saljax.cli import evaluate_files as files
    from saljax.data.annotations import forms
    from saljax.evaluation import on_ray
    from saljax.evaluation.evaluate import evaluate as judge
    from saljax.page import run
    from saljax.runs import store
    from saljax.runs.progress import lasting, progress

    complaints: list[str] = []

    def complain(what: str, problem: str) -> None:
        line = " ".join(f"{what}: {problem}".split())
        if line not in complaints:
            complaints.append(line)
            say(line)

    noted: set[str] = set()

    def note(what: object, text: str) -> None:
        if text and text not in noted:  # once, whatever the number of pictures
            noted.add(text)
            say(f"{what}: {text}")

    with mistakes():
        if engine == "ray":  # the devices are for the workers
            jax.config.update("jax_platforms", "cpu")
        elif ray_address or workers:
            raise ValueError("--ray-address and --workers are for --engine ray")
        asked = {"data": data, "boxes": boxes, "boxes_format": boxes_format, "shard": shard}
        study, target = evaluate_asked.study(complain, note, **asked, out=out, **others)
        sizes = {"batch_size": study.batch_size, "block_size": study.block_size}
        words = asked | {"out": out} | others | sizes
        # A job that is cancelled keeps all it has; only the main thread can ask for it.
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        own_cases = sum(len(study.cases_of(block)) for block in study.blocks)
        pace: list[str] = []

        def waited(pictures: int, seconds: float, of: float) -> None:
            if pictures:
                times = f"{lasting(seconds)} of {lasting(of)}"
                pace.append(f"{pictures} pictures read, the devices waited {times} for them")

        maps = own_cases * len(study.rows)
        in_work = f"the block of {study.block_size} photographs in work"
        with heard_twice(in_work) as stopped:
            if engine == "ray":
                make = functools.partial(evaluate_asked.for_worker, words)
                with progress("evaluating", maps, "map") as advance:
                    told = complain, advance, note, stopped
                    on_ray.evaluate(make, study, *told, ray_address, workers)
            with progress("evaluating", maps, "map") as advance:
                judged = judge(study, complain, advance, note, waited, stopped)
        if shard:
            done = f"{len(study.blocks)} blocks, {own_cases} of {len(study.cases)} cases"
            echo("; ".join([f"-> {out}: part {shard[0]} of {shard[1]}, {done}", *pace]))
            ctx.exit(MISTAKE if complaints else 0)
        if not any(one.is_explained for one in judged):
            raise ValueError("nothing could be explained")
        settings = {
            "data": str(data),
            "boxes": {"file": str(boxes), "sha256": forms.sha256(boxes)} if boxes else None,
            "boxes_format": boxes_format or "pixels",
            "target": target,
            "command": command(*ctx.obj),
        }
        text, written = files.write(study, judged, settings, complaints, per_class)
        echo(text)
        if drawn := files.picture(study, judged, pictures):
            store.write(out / "pictures.png", drawn)
            written.append("pictures.png")
        echo("; ".join([f"-> {out}: {', '.join(written)}", *pace]))
        if page:
            report.write(run.read(out), out / "page", page)
    ctx.exit(MISTAKE if complaints else 0)
