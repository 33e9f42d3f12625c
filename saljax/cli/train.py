"""The commands `saljax train`."""

from pathlib import Path

import click

from saljax.cli import options, train_explainers
from saljax.cli.console import command, echo, fetching, mistakes, say

OF_HEAD, OF_ALL, FROM_SCRATCH = 1e-2, 1e-4, 1e-3
"""Learning rates of a head, of all of a network that has learned before, and of one that has not.
Our choice; `experiments/results/training.md` tried the first two."""


@click.group(cls=options.InOrder)
def train() -> None:
    """Train classifiers, and explainers that learn."""


@train.command()
@click.option(
    "--data",
    required=True,
    metavar="FOLDER|tfds:NAME",
    help="One folder a class, FOLDER/CLASS/*.jpg, or FOLDER/train/CLASS and FOLDER/val/CLASS; or a "
    "data set that TensorFlow Datasets has prepared as array_record.",
)
@click.option("--model", default="resnet50", show_default=True, help="See `saljax models`.")
@click.option(
    "--init",
    metavar="FILE|NAME",
    help="Weights to start from, with any number of classes: a file, the name of published ones, "
    "or `bundled`.  [default: from scratch]",
)
@options.out("trained")
@click.option(
    "--train",
    "part",
    default="all",
    show_default=True,
    type=click.Choice(["all", "head"]),
    help="What learns: everything, or the layer that gives the logits.",
)
@click.option("--epochs", default=20, show_default=True, type=click.IntRange(min=1))
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    help=f"Highest, after a warm-up.  [default: {OF_HEAD:g} for a head, {OF_ALL:g} for all with "
    f"--init, {FROM_SCRATCH:g} from scratch]",
)
@click.option(
    "--weight-decay",
    default=0.01,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Of AdamW.",
)
@click.option(
    "--batch-norm",
    type=click.Choice(["stored", "batch"]),
    help="Statistics of batch norms: those stored, which stay, or those of each batch, which move "
    "them.  [default: stored with --init, else batch]",
)
@click.option(
    "--least-area",
    default=0.35,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True, max=1),
    help="Smallest share of a picture that is cut out at random; 1 leaves nearly all.",
)
@click.option(
    "--image-size",
    type=click.IntRange(min=1),
    metavar="PIXELS",
    help="Side of what the model sees in training.  [default: what it sees when explained]",
)
@click.option(
    "--held-out",
    default=0.2,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of each class that is tested on, where the data have no split of their own.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1))
def classifier(
    data: str,
    model: str,
    init: str | None,
    out: Path,
    part: str,
    epochs: int,
    batch_size: int,
    learning_rate: float | None,
    weight_decay: float,
    batch_norm: str | None,
    least_area: float,
    image_size: int | None,
    held_out: float,
    seed: int,
) -> None:
    """Teach a classifier the classes of your pictures.

    Its last layer is replaced, it is trained with AdamW, tested after each epoch on pictures held
    out, and written to --out as weights.safetensors, the names of the classes beside it: explain
    it with --weights. What was broken off goes on from its last epoch when the same command is
    given again.
    """
    from saljax import models
    from saljax.data import class_folders, tfds_sources
    from saljax.report import learning
    from saljax.runs import store
    from saljax.runs.progress import progress
    from saljax.training import classifier as training
    from saljax.training import framing

    def complain(what: object, problem: str) -> None:
        say(f"{what}: {problem}")

    def report(done: training.Epoch) -> None:
        top_1 = learning.share(done.correct, done.held_out)
        echo(f"epoch {done.epoch}: loss {done.loss:.3f}, held-out top-1 {top_1}")

    recipe = training.Recipe(
        part,  # pyright: ignore[reportArgumentType]
        epochs,
        batch_size,
        learning_rate or (OF_HEAD if part == "head" else OF_ALL if init else FROM_SCRATCH),
        weight_decay,
        batch_norm or ("stored" if init else "batch"),  # pyright: ignore[reportArgumentType]
        least_area,
        seed,
    )
    with mistakes():
        about = models.info(model)
        store.check_writable(out)
        file = init and models.weights_file(model, None if init == "bundled" else init, fetching)
        if data.startswith("tfds:"):
            found = tfds_sources.read_tfds(data.removeprefix("tfds:"), held_out, seed)
        else:
            found = class_folders.read_classes(Path(data), held_out, seed, complain)
        number = len(found.train.names) + len(found.held_out.names)
        with progress("reading pictures", number, "picture") as advance:
            framed = framing.framed(found, about, image_size, complain, advance)
        echo(
            f"{len(framed.classes)} classes; {len(framed.train)} pictures to learn from, "
            f"{len(framed.held_out)} to test on"
        )
        num_steps = epochs * recipe.steps(len(framed.train))[1]
        with progress("training", num_steps, "step") as advance:
            trained = training.train(
                framed, model, recipe, out, init=file or None, report=report, advance=advance
            )
        tested, classes = framed.held_out, framed.classes
        best = training.best(trained.epochs)
        counts = learning.confusion(tested.labels, trained.predicted, len(classes))
        losses, shares = zip(
            *[(e.loss, e.correct / e.held_out) for e in trained.epochs], strict=True
        )
        shown = learning.picture(losses, shares, best.epoch, counts, classes)
        store.write(out / "training.png", shown)
        of_each = learning.table(tested.names, tested.labels, trained.predicted, classes)
        store.write(out / "held_out.csv", of_each)
    right = learning.share(best.correct, best.held_out)
    echo(f"best: epoch {best.epoch}, {right}, see {out / 'training.png'}")
    echo(f"{trained.best}\n\n{command('explain', 'PICTURE', '--model', out)}")


for of_kind in train_explainers.COMMANDS:
    train.add_command(of_kind)
