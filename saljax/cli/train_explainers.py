"""The commands `saljax train dre`, `masking-model` and `variational`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from saljax.cli import options
from saljax.cli.console import command, echo, fetching, mistakes, say


class OfKind(options.WithRead):
    """Training of a kind of explainer; what it, its stages and the recipe take are options too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read them first."""
        from saljax.methods.learned.kinds import KINDS
        from saljax.training.explainers import Recipe

        kind = KINDS[_kind(self)]
        self.read(ctx, f"Options of {self.name}", [Recipe, kind.stages, kind.explainer])
        return super().parse_args(ctx, args)


def _kind(command: click.Command) -> str:
    return (command.name or "").replace("-", "_")


_layers = click.option(
    "--layers",
    metavar="NAME,...",
    help="Activations of the model to read, the coarsest first.  [default: chosen for the model]",
)


def _of_kind(name: str, about: str, reads_layers: bool = True) -> click.Command:
    @click.command(name, cls=OfKind, help=f"{about}\n\n{_HELP}")
    @click.option(
        "--data",
        required=True,
        metavar="FOLDER|tfds:NAME|generated",
        help="A folder of pictures, or of folders of them; a data set that TensorFlow Datasets has "
        "prepared as array_record; or generated birds that never repeat. No label is used.",
    )
    @options.model("birdlets")
    @options.weights
    @options.own
    @options.out("trained")
    @_layers if reads_layers else lambda command: command
    @click.option(
        "--held-out",
        default=0.1,
        show_default=True,
        type=click.FloatRange(0, 1, max_open=True),
        help="Share of the pictures that is tested on, where the data have no split of their own.",
    )
    @click.option(
        "--images",
        default=10000,
        show_default=True,
        type=click.IntRange(min=1),
        help="Generated birds of an epoch.",
    )
    @click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1))
    @click.pass_context
    def train(ctx: click.Context, **given: Any) -> None:
        _train(_kind(ctx.command), **given)

    return train


_HELP = """It is trained for one model and its weights, on that model's own predictions, and
written to --out as explainer.safetensors: explain with --explainer. What was broken off goes on
from its last epoch when the same command is given again."""


def _train(
    kind: str,
    data: str,
    model: str,
    weights: Path | None,
    out: Path,
    held_out: float,
    images: int,
    seed: int,
    input_size: Sequence[int] | None,
    labels: Path | None,
    layers: str | None = None,
    **given: Any,
) -> None:
    import jax

    from saljax.runs import classifier, store
    from saljax.runs.progress import lasting, progress
    from saljax.training import by_name, pictures
    from saljax.training.explainers import Epoch
    from saljax.training.pace import Pace

    def complain(what: object, problem: str) -> None:
        say(f"{what}: {problem}")

    pace: Pace | None = None

    def report(epoch: Epoch) -> None:
        parts = [f"{epoch.stage}, epoch {epoch.epoch}: loss {epoch.loss:.4g}"]
        if epoch.held_out is not None:
            parts.append(f"held out {epoch.held_out:.4g}")
        if pace and pace.images_per_second:
            parts.append(f"{pace.images_per_second:.3g} images/s")
        if pace and pace.seconds_left:
            parts.append(f"{lasting(pace.seconds_left)} left")
        echo(", ".join(parts))

    with mistakes():
        store.check_writable(out)
        own: dict[str, Any] = {"input_size": input_size, "names": labels}
        known = classifier.load(model, weights, fetching, say, **own)
        key = jax.random.key(seed)
        place = by_name.seed_of_images(key)
        if data == "generated":
            shown = pictures.generated(known.about, images, held_out, place)
        else:
            found = pictures.found(data, held_out, place, complain)
            number = sum(len(part.names) for part in found)
            with progress("reading pictures", number, "picture") as bar:
                shown = pictures.framed(found, known.about, held_out, place, complain, bar)
        tested = 0 if shown.held_out is None else len(shown.held_out)
        echo(f"{len(shown.train)} pictures to learn from, {tested} to test on")
        prepared = by_name.prepare(
            kind,
            known.logits,
            shown,
            key,
            given,
            layers=None if layers is None else tuple(layers.split(",")),
            about=known.record(),
        )
        with progress("training", prepared.num_steps) as bar:

            def advance(now: Pace | None) -> None:
                nonlocal pace
                pace = now
                rate = now and now.images_per_second
                speed = f", {rate:.3g} images/s" if rate else ""
                bar(said=f"{now.stage}: loss {now.loss:.4g}{speed}" if now else "")

            prepared.train(out, report, advance)
    file = out / by_name.FILE
    method = ["--method", kind, "--model", model]
    of_weights = ["--weights", weights] if weights else []
    if input_size:
        of_weights += ["--input-size", ",".join(map(str, input_size))]
    yours = command("explain", "PICTURE", *method, *of_weights, "--explainer", file)
    echo(f"{file}\n\n{yours}")


COMMANDS = [
    _of_kind(
        "dre", "Train DRE, a network that draws in one pass how relevant each pixel is to a class."
    ),
    _of_kind(
        "masking-model",
        "Train a masking model, a network that draws in one pass the smallest mask that keeps a "
        "class.",
    ),
    _of_kind(
        "variational",
        "Train an encoder of variational saliency maps, which says in one pass how important each "
        "pixel is, and how sure that is.",
        reads_layers=False,
    ),
]
