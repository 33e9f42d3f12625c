"""`saljax layers`: what `--layer` can name."""

from collections.abc import Sequence
from pathlib import Path

import click

import saljax
from saljax.cli import options
from saljax.cli.console import echo, fetching, mistakes, say


@click.command()
@click.argument("image", required=False, type=options.File())
@options.model("birdlets")
@options.weights
@options.own
@options.values
def layers(
    image: Path | None,
    model: str,
    weights: Path | None,
    input_size: Sequence[int] | None,
    labels: Path | None,
    values: tuple[float, float] | None,
) -> None:
    """List the layers of a model that --layer can name.

    Shapes are those for IMAGE, or without one for an image of the size that the model takes.
    """
    import jax.numpy as jnp

    from saljax.data import folders
    from saljax.runs import classifier, inputs

    with mistakes():
        known = classifier.load(model, weights, fetching, say, input_size=input_size, names=labels)
        about, array = known.about, jnp.zeros(known.about.input_shape)
        if image is not None:
            try:
                read = inputs.read(image, about.input_shape, about.resize, about.crop, values)
            except folders.UnreadableImage as error:
                raise ValueError(f"{image}: {error}") from None
            array = jnp.asarray(read.image)
        found = saljax.layers(known.logits, array)
        if not found:
            raise ValueError(f"{model} has no layer that can be named")
        echo(str(found))
