"""`saljax methods`, `saljax metrics` and `saljax models`: what there is, by name."""

from collections.abc import Iterable
from typing import Any

import click

import saljax
from saljax.cli.console import echo


@click.command()
def methods() -> None:
    """List the methods and their papers."""
    from saljax.methods.table import METHODS
    from saljax.runs.hyperparameters import summary

    _list((name, f"{summary(known.function)} {known.paper}.") for name, known in METHODS.items())


@click.command()
def metrics() -> None:
    """List the metrics of `saljax evaluate`, and what each costs on a picture of 224 x 224."""
    from saljax.evaluation.measures import measures
    from saljax.runs.hyperparameters import summary

    def line(measure: Any) -> str:
        cost = f" Costs {measure.cost}." if measure.cost else ""
        return summary(measure.known.function) + cost

    found = measures("all", {}, saljax.models.info("resnet50"), with_boxes=True)
    _list((measure.name, line(measure)) for measure in found)


@click.command()
def models() -> None:
    """List the classifiers and what they take."""

    def line(about: Any) -> str:
        size = " x ".join(str(length) for length in about.input_shape)
        weights = (
            "bundled" if about.bundled else "--weights " + " or ".join(("FILE", *about.published))
        )
        return f"{about.description}; input {size}; {len(about.labels)} classes; weights: {weights}"

    _list((name, line(saljax.models.info(name))) for name in saljax.models.names())


def _list(rows: Iterable[tuple[str, str]]) -> None:
    formatter = click.HelpFormatter(max_width=100)
    formatter.write_dl(list(rows))
    echo(formatter.getvalue(), end="")
