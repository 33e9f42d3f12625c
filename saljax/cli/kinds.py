"""What the words of options may be."""

import math
from pathlib import Path
from typing import Any

import click


class FromText(click.ParamType):
    """What the text of a hyperparameter says, such as several numbers separated by commas."""

    def __init__(self, hyperparameter: Any):
        self.hyperparameter = hyperparameter
        self.name = hyperparameter.kind.__name__ + (",..." if hyperparameter.several else "")

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """`"0.05,0.1"` -> (0.05, 0.1)."""
        try:
            return self.hyperparameter.parse(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(f"{error}.")


class Sigmas(click.ParamType):
    """Widths above zero, separated by commas."""

    name = "widths"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        """`"6,3,1.5"` -> (6.0, 3.0, 1.5)."""
        try:
            sigmas = tuple(float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers such as 6,3,1.5.")
        if not all(0 < sigma < float("inf") for sigma in sigmas):
            self.fail(f"{value!r}: each must be greater than 0.")
        return sigmas


class Range(click.ParamType):
    """Two numbers separated by a comma, the lower one first."""

    name = "low,high"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, float]:
        """`"0,4095"` -> (0.0, 4095.0)."""
        try:
            low, high = (float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not two numbers such as 0,4095.")
        if not -math.inf < low < high < math.inf:
            self.fail(f"{value!r}: the first must be less than the second.")
        return low, high


class Shape(click.ParamType):
    """Lengths of all axes of an image, or one for the side of a square picture in color."""

    name = "size"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """`"224"` -> (224, 224, 3); `"32,32,32,1"` -> (32, 32, 32, 1)."""
        try:
            lengths = tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not a number such as 224, or several such as 64,48,3.")
        if min(lengths) < 1:
            self.fail(f"{value!r}: each must be greater than 0.")
        return (*lengths * 2, 3) if len(lengths) == 1 else lengths


class File(click.Path):
    """A path; "" is none, though Python takes it for the folder one is in."""

    def __init__(self):
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """`"a.png"` -> Path("a.png")."""
        if value == "":
            self.fail("'' is no path.")
        return super().convert(value, param, ctx)
