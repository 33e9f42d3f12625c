"""`saljax explain`: pictures in; maps, records and pictures of maps out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from saljax.cli import options
from saljax.cli.console import MISTAKE, echo, fetching, mistakes, say


@click.command(cls=options.OfMethod)
@click.argument("images", nargs=-1, type=options.File())
@click.option(
    "--data",
    metavar="tfds:NAME",
    type=options.File(),
    help="Pictures of TensorFlow Datasets, in place of IMAGES or beside them, such as "
    "tfds:voc/2007:test.",
)
@click.option("--number", type=click.IntRange(min=1), help="Only the first pictures.")
@click.option(
    "--method",
    multiple=True,
    help="See `saljax methods`. Or your own: FILE.py:NAME or PACKAGE.MODULE:NAME. Several, side by "
    "side: repeat it.  [default: for photographs grad_cam, contrastive_excitation_backprop and a "
    "coarse occlusion; else glas]",
)
@click.option("--methods", metavar="A,B,...", help="The same; `fine=glas` is glas named fine.")
@click.option(
    "--set",
    "texts",
    multiple=True,
    metavar="NAME.KEY=VALUE",
    help="A hyperparameter of one of several methods, such as rise.num_masks=500; may be repeated.",
)
@options.model("birdlets")
@options.weights
@options.own
@options.precision
@click.option(
    "--target",
    "wanted",
    multiple=True,
    metavar="CLASS",
    help="Class to explain: a name, an index, or top-K for the K most probable; may be repeated.  "
    "[default: top-1, the predicted class]",
)
@options.out("out")
@click.option(
    "--sigmas",
    type=options.Sigmas(),
    help="Coarse to fine, such as 6,3,1.5: one map for each, all sigmas of the method set to it.",
)
@options.seed
@options.batch_size
@options.values
@options.framing
@options.drawing
@click.option(
    "--sanity",
    is_flag=True,
    help="Also show what each method makes of the classifier with its last layers random, up to "
    "all of them: NAME.sanity.png. A map that stays explains something else.",
)
@click.option("--no-pictures", is_flag=True, help="Write maps and records alone.")
@click.option("--quiet", is_flag=True, help="Say only what goes wrong.")
@click.pass_context
def explain(
    ctx: click.Context,
    images: Sequence[Path],
    data: Path | None,
    number: int | None,
    method: Sequence[str],
    methods: str | None,
    texts: Sequence[str],
    model: str,
    weights: Path | None,
    input_size: Sequence[int] | None,
    labels: Path | None,
    precision: str,
    wanted: Sequence[str],
    out: Path,
    sigmas: tuple[float, ...] | None,
    seed: int,
    batch_size: int | None,
    values: tuple[float, float] | None,
    crop: str | None,
    short_side: int | None,
    ending: str | None,
    dpi: int | None,
    colormap: str | None,
    only: str | None,
    sanity: bool,
    no_pictures: bool,
    quiet: bool,
    **hyperparameters: Any,
) -> None:
    """Explain what a classifier sees in IMAGES.

    IMAGES are pictures, folders of pictures, - for a picture on standard input, or, for a model
    of volumes, .npy files. For each, three files are written: NAME.png to look at, NAME.npy with
    the raw map, and NAME.json with the prediction and how it was explained. Without --method the
    picture has the maps of a few methods that take seconds. What is there already, made by the same
    method in the same way, is not made again, and nothing else in the folder is overwritten.
    """
    import jax

    from saljax.cli import asked
    from saljax.cli.job import Job
    from saljax.cli.pictures import Pictures, Style
    from saljax.runs import classifier, inputs, kept, store, targets
    from saljax.runs.hyperparameters import coarse_to_fine
    from saljax.runs.progress import progress
    from saljax.runs.reading import Reading
    from saljax.runs.sanity import Sanity

    if not images and data is None:
        raise click.UsageError("Missing argument 'IMAGES...'; or --data tfds:NAME.", ctx)
    complaints = []

    def complain(path: Path, problem: str) -> None:
        complaints.append(path)
        say(f"{path}: {problem}")

    def tell(text: str) -> None:
        if not quiet:
            echo(text)

    with mistakes():
        about = classifier.info(model, input_size)
        framing, style = inputs.framing(about, crop, short_side), Style(ending, dpi, colormap, only)
        style.check()
        chosen = bool(method or methods or hyperparameters)
        rows = asked.rows(ctx.meta["asked"], texts, hyperparameters, about.layer, chosen)
        if sigmas and len(rows) > 1:
            raise ValueError("--sigmas is for one method, not for several")
        store.check_writable(out)
        own: dict[str, Any] = {"input_size": input_size, "names": labels, "precision": precision}
        known = classifier.load(model, weights, fetching, say, **own)
        rows = [row.equipped(known) for row in rows]
        rows = rows if chosen else asked.willing(rows, known, say)
        asks = [asked.ask(row, known) for row in rows]
        if sigmas:
            asks = [asks[0]._replace(method=m) for m in coarse_to_fine(rows[0].method, sigmas)]
        choose = targets.chooser(wanted, known.labels)
        contents = asked.of_tfds(data, number) if data else {}
        paths = inputs.find(images, complain, lambda folder, text: say(f"{folder}: {text}"))
        paths = [*paths, *contents][:number]
        if sanity and inputs.STDIN in paths:
            raise ValueError("--sanity reads a picture twice: give a file in the place of -")
        run = asked.Run(rows, known, framing, tuple(sigmas or ()), seed)
        decides = {**run.decides(), "target": list(wanted), "range": values}
        work = kept.work(paths, out, decides, contents)
        key = jax.random.key(seed)
        strip = Sanity(asks, known.probabilities, about.input_shape, key) if sanity else None
    if ctx.get_parameter_source("model") is click.core.ParameterSource.DEFAULT and not quiet:
        say(f"the classifier is {model}, {about.description}; --model names another")
    reading = Reading(work.paths, about.input_shape, framing, values, complain, say, contents)
    drawings = Pictures(out, run, style, wanted=not no_pictures)
    job = Job(out, run, asks, work, reading, drawings, complain, tell)
    if work.there:
        tell(f"{len(work.there)} of {len(work.paths)} are there already, in {out}")
    for line in run.advice if work.todo and not quiet else ():
        say(line)
    with mistakes(), progress("explaining", len(work.todo), "image", quiet) as advance:
        size = batch_size or (1 if len(work.todo) == 1 else jax.local_device_count())
        job.explain(choose, size, key, advance, say if chosen and not quiet else None)
        for name in drawings.missing(work):
            if (there := job.read_again(name)) is not None:
                drawings.add(name, *there, is_new=False)
        if together := drawings.write_together(work):
            of_all = f" of {len(work.paths)}" if together < len(work.paths) else ""
            tell(f"{together}{of_all} images together -> {drawings.path(work.together)}")
        if sum(1 for _ in kept.explained(out)) > 1 and not kept.write_index(out):
            say(f"{out / 'index.csv'} is of somebody else; no index was written")
    if strip is not None:
        unchecked = job.unchecked()
        with mistakes(), progress("checking", len(unchecked), "image", quiet) as advance:
            for name in unchecked:
                advance(0, work=work.paths[name].name)
                job.check(name, strip)
                advance()
    ctx.exit(MISTAKE if complaints else 0)
