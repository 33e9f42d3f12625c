"""`saljax explain`: pictures in; maps, records and pictures of maps out."""

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from saljax.cli import options
from saljax.cli.console import MISTAKE, described, echo, fetching, mistakes, say

MOST_ROWS = 20
"""Most images, and most classes of an image, in one picture. Our choice."""


@click.command(cls=options.OfMethod)
@click.argument("images", nargs=-1, required=True, type=options.File())
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
@click.option("--no-pictures", is_flag=True, help="Write maps and records alone.")
@click.option("--quiet", is_flag=True, help="Say only what goes wrong.")
@click.pass_context
def explain(
    ctx: click.Context,
    images: Sequence[Path],
    method: Sequence[str],
    methods: str | None,
    texts: Sequence[str],
    model: str,
    weights: Path | None,
    input_size: Sequence[int] | None,
    labels: Path | None,
    wanted: Sequence[str],
    out: Path,
    sigmas: tuple[float, ...] | None,
    seed: int,
    batch_size: int | None,
    values: tuple[float, float] | None,
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
    from saljax.data import folders
    from saljax.report import grids
    from saljax.runs import classifier, inputs, kept, records, store, targets
    from saljax.runs.hyperparameters import coarse_to_fine, in_effect
    from saljax.runs.loop import explain_all
    from saljax.runs.progress import progress

    complaints = []

    def complain(path: Path, problem: str) -> None:
        complaints.append(path)
        say(f"{path}: {problem}")

    def tell(text: str) -> None:
        if not quiet:
            echo(text)

    with mistakes():
        layer = classifier.info(model, input_size).layer
        chosen = bool(method or methods or hyperparameters)
        rows = asked.rows(ctx.meta["asked"], texts, hyperparameters, layer, chosen)
        if sigmas and len(rows) > 1:
            raise ValueError("--sigmas is for one method, not for several")
        store.check_writable(out)
        own: dict[str, Any] = {"input_size": input_size, "names": labels}
        known = classifier.load(model, weights, fetching, say, **own)
        about, classes = known.about, known.labels
        rows = [row.equipped(known) for row in rows]
        rows = rows if chosen else asked.willing(rows, known, say)
        plain = rows[0].method
        asks = [asked.ask(row, known) for row in rows]
        if sigmas:
            asks = [asks[0]._replace(method=one) for one in coarse_to_fine(plain, sigmas)]
        choose = targets.chooser(wanted, classes)
        paths = inputs.find(images, complain, lambda folder, text: say(f"{folder}: {text}"))
        in_out = {p.stem.casefold() for p in paths if p.resolve().parent == out.resolve()}
        reserved = in_out | store.names_of_others(out)
        of_classifier = known.record()
        made_by_all = {
            **asked.decides(rows),
            **of_classifier,
            "sigmas": sigmas,
            "seed": seed,
            "target": list(wanted),
            "labels": list(classes),
            "range": values,
            "saljax": records.versions()["saljax"],
        }
        keyed = {
            store.key(image=_content(path), **made_by_all): path for path in dict.fromkeys(paths)
        }
        called = {key: Path("stdin") if p == inputs.STDIN else p for key, p in keyed.items()}
        (together,) = store.distinct_names([Path("overview")], reserved)
        names, there = kept.names(called, out, reserved | {together.casefold()})
    made_from = {names[key]: key for key in keyed}
    named = {names[key]: path for key, path in keyed.items()}
    todo = {name: path for name, path in named.items() if name not in there}
    taken: dict[str, inputs.Input] = {}
    guesses: set[str] = set()

    def opened(path: Path) -> inputs.Input | None:
        try:
            read = inputs.read(path, about.input_shape, about.resize, about.crop, values)
        except folders.UnreadableImage as error:
            complain(path, str(error))
            return None
        if read.guessed not in guesses | {""}:  # once, whatever the number of pictures
            guesses.add(read.guessed)
            say(f"{path}: {read.guessed}")
        return read

    def read_all() -> Iterator[tuple[str, np.ndarray]]:
        for name, path in todo.items():
            if (read := opened(path)) is None:
                continue
            advance(0, work=path.name)
            taken[name] = read
            yield name, read.image

    signed = [asked.signed(row) for row in rows] * len(sigmas or [0])
    captions = [f"sigma {sigma:g}" for sigma in sigmas or ()]
    if len(rows) > 1:
        detail, captions = model, [row.name for row in rows]
    else:
        detail = f"{rows[0].name}, {model}"
    if there:
        tell(f"{len(there)} of {len(named)} are there already, in {out}")
    drawn: dict[str, list[grids.Row]] = {}

    def draw(name: str, image: inputs.Input, saliency: np.ndarray, record: dict) -> str:
        """Draw one explanation, if it is to be; return what is said of it."""
        titles = [records.title_of(t["class"], t["probability"]) for t in record["targets"]]
        other = records.other_side(record) if known.one_logit else ""
        if not no_pictures:
            small = ", ".join(filter(None, [other, detail]))
            above = [records.title_drawn(t["class"], t["probability"]) for t in record["targets"]]
            panels = grids.rows(image.shown, saliency, above, small, captions, signed)
            drawn[name] = panels[:MOST_ROWS]
        return ", ".join(titles[:5]) + (f" ({other})" if other else "")

    with mistakes(), progress("explaining", len(todo), "image", quiet) as advance:
        for result in explain_all(
            asks,
            known.probabilities,
            read_all(),
            choose,
            batch_size=batch_size or (1 if len(todo) == 1 else jax.device_count()),
            key=jax.random.key(seed),
        ):
            advance()
            path, image, name = todo[result.name], taken.pop(result.name), result.name
            if result.problem:
                complain(path, result.problem)
                continue
            first = "sigma" if sigmas else "method"
            record = records.of_image(path, image.size, image.values, result, classes, first)
            made_by = asked.record(rows, image.image.shape[:-1])
            if sigmas:
                made_by["hyperparameters"] = in_effect(plain, sigmas, image.image.shape[:-1])
            record |= records.of_run(made_by, of_classifier, seed) | {"made_from": made_from[name]}
            said = draw(name, image, result.saliency, record)
            try:
                if name in drawn:
                    store.write(out / f"{name}.png", grids.png(grids.grid(drawn[name])))
                store.write_array(out / f"{name}.npy", records.squeezed(result.saliency))
                store.write_json(out / f"{name}.json", record)
            except OSError as error:
                if error.errno not in store.OF_NAMES:
                    raise
                drawn.pop(name, None)
                complain(path, described(error))
                continue
            tell(f"{path}: {said} -> {out / name}.{'npy' if no_pictures else 'png'}")
            if len(drawn) > MOST_ROWS:  # the pictures of all would fill the memory
                del drawn[name]
        shown = [name for name in named if name in there or name in drawn][:MOST_ROWS]
        for name in () if no_pictures else there:
            picture = out / f"{name}.png"
            if (name in shown and len(shown) > 1) or not picture.exists():
                if (image := opened(named[name])) is None:
                    continue
                record = store.read_json(out / f"{name}.json") or {}
                maps = store.read_array(out / f"{name}.npy")
                shape = (len(asks), len(record["targets"]))
                draw(
                    name,
                    image,
                    maps.reshape(*shape, *maps.shape[-len(image.image.shape) + 1 :]),
                    record,
                )
                if not picture.exists():
                    store.write(picture, grids.png(grids.grid(drawn[name])))
        overview = [drawn[name][0] for name in shown if name in drawn]
        if len(overview) > 1:
            sheet = overview if captions else grids.sheet(overview)
            store.write(out / f"{together}.png", grids.png(grids.grid(sheet)))
            tell(f"{len(overview)} images together -> {out / together}.png")
        if sum(1 for _ in kept.explained(out)) > 1 and not kept.write_index(out):
            say(f"{out / 'index.csv'} is of somebody else; no index was written")
    ctx.exit(MISTAKE if complaints else 0)


def _content(path: Path) -> list[str]:
    """What a picture is, and where; each on standard input is another."""
    from saljax.runs import inputs, records

    if path == inputs.STDIN:
        return [secrets.token_hex()]

    try:
        return [str(path.resolve()), records.sha256(path)]
    except OSError:
        return [str(path)]
