"""`saljax explain`: pictures in; maps, records and pictures of maps out."""

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
    default="glas",
    show_default=True,
    help="See `saljax methods`. Or your own: FILE.py:NAME or PACKAGE.MODULE:NAME.",
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
@click.option("--quiet", is_flag=True, help="Say only what goes wrong.")
@click.pass_context
def explain(
    ctx: click.Context,
    images: Sequence[Path],
    method: str,
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
    quiet: bool,
    **hyperparameters: Any,
) -> None:
    """Explain what a classifier sees in IMAGES.

    IMAGES are pictures, folders of pictures, - for a picture on standard input, or, for a model
    of volumes, .npy files. For each, three files are written: NAME.png to look at, NAME.npy with
    the raw map, and NAME.json with the prediction and how it was explained.
    """
    import jax

    from saljax.data import folders
    from saljax.report import grids
    from saljax.runs import classifier, explainers, inputs, methods, records, store, targets
    from saljax.runs.hyperparameters import coarse_to_fine, configure, in_effect
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
        asked = methods.known(method)
        plain = configure(asked, hyperparameters, classifier.info(model, input_size).layer)
        store.check_writable(out)
        own: dict[str, Any] = {"input_size": input_size, "names": labels}
        known = classifier.load(model, weights, fetching, say, **own)
        about, classes = known.about, known.labels
        plain = explainers.equipped(plain, method, known)
        configured = coarse_to_fine(plain, sigmas) if sigmas else [plain]
        choose = targets.chooser(wanted, classes)
        paths = inputs.find(images, complain, lambda folder, text: say(f"{folder}: {text}"))
        in_out = {p.stem.casefold() for p in paths if p.resolve().parent == out.resolve()}
        called = [Path("stdin") if path == inputs.STDIN else path for path in paths]
        reserved = in_out | store.names_of_others(out)
        together, *names = store.distinct_names([Path("overview"), *called], reserved)
    named = dict(zip(names, paths, strict=True))
    taken: dict[str, inputs.Input] = {}
    guesses: set[str] = set()

    def read_all() -> Iterator[tuple[str, np.ndarray]]:
        for name, path in named.items():
            try:
                read = inputs.read(path, about.input_shape, about.resize, about.crop, values)
            except folders.UnreadableImage as error:
                complain(path, str(error))
                continue
            if read.guessed not in guesses | {""}:  # once, whatever the number of pictures
                guesses.add(read.guessed)
                say(f"{path}: {read.guessed}")
            advance(0, work=path.name)
            taken[name] = read
            yield name, read.image

    detail, captions = f"{method}, {model}", [f"sigma {sigma:g}" for sigma in sigmas or ()]
    overview = []
    with mistakes(), progress("explaining", len(named), "image", quiet) as advance:
        of_run = records.of_run(method, in_effect(plain, sigmas), known.record(), seed)
        of_run |= {"explains": asked.explains} | methods.source(method)
        for result in explain_all(
            configured,
            known.probabilities,
            read_all(),
            choose,
            batch_size=batch_size or (1 if len(named) == 1 else jax.device_count()),
            key=jax.random.key(seed),
            explained=known.logits if asked.explains == "logits" else None,
            one_class=asked.one_class,
        ):
            advance()
            path, image = named[result.name], taken.pop(result.name)
            if result.problem:
                complain(path, result.problem)
                continue
            titles = [
                records.title(result.scores, int(target), classes) for target in result.targets
            ]
            other = records.other_side(result, classes) if known.one_logit else ""
            small = ", ".join(filter(None, [other, detail]))
            rows = grids.rows(image.shown, result.saliency, titles, small, captions)[:MOST_ROWS]
            of_image = records.of_image(path, image.size, image.values, result, classes)
            of_run["hyperparameters"] = in_effect(plain, sigmas, image.image.shape[:-1])
            try:
                store.write(out / f"{result.name}.png", grids.png(grids.grid(rows)))
                store.write_array(out / f"{result.name}.npy", records.squeezed(result.saliency))
                store.write_json(out / f"{result.name}.json", of_image | of_run)
            except OSError as error:
                if error.errno not in store.OF_NAMES:
                    raise
                complain(path, described(error))
                continue
            said = ", ".join(titles[:5]) + (f" ({other})" if other else "")
            tell(f"{path}: {said} -> {out / result.name}.png")
            if len(overview) < MOST_ROWS:
                overview += rows[:1]
        if len(overview) > 1:
            sheet = overview if sigmas else grids.sheet(overview)
            store.write(out / f"{together}.png", grids.png(grids.grid(sheet)))
            tell(f"{len(overview)} images together -> {out / together}.png")
    ctx.exit(MISTAKE if complaints else 0)
