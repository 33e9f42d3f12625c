"""One-line answers to wrong hyperparameters.

Traced values and None pass: the former are known only when the program runs, the latter stands for
a default.
"""

import numbers


def count(**values) -> None:
    """Raise ValueError for the first value that is not a whole number above zero."""
    for name, value in values.items():
        if isinstance(value, numbers.Number | str) and not isinstance(value, numbers.Integral):
            raise ValueError(f"`{name}` must be a whole number; got {value!r}.")
    positive(**values)


def positive(**values) -> None:
    """Raise ValueError for the first value that is no number above zero."""
    for name, value in values.items():
        _number(name, value)
        if isinstance(value, numbers.Real) and not float(value) > 0:
            raise ValueError(f"`{name}` must be greater than 0; got {value}.")


def not_negative(**values) -> None:
    """Raise ValueError for the first value that is no number from zero up."""
    for name, value in values.items():
        _number(name, value)
        if isinstance(value, numbers.Real) and not float(value) >= 0:
            raise ValueError(f"`{name}` must be at least 0; got {value}.")


def _number(name, value):
    if isinstance(value, str | bytes | list | tuple | dict):
        raise ValueError(f"`{name}` must be a number; got {value!r}.")


def several(**values) -> None:
    """Raise ValueError for the first value that is no tuple or list with something in it."""
    for name, value in values.items():
        if not isinstance(value, tuple | list) or not value:
            raise ValueError(
                f"`{name}` must be a tuple of at least one number, such as (0.1,); got {value!r}."
            )


def one_of(allowed: tuple[str, ...], **values) -> None:
    """Raise ValueError for the first value that is not among `allowed`."""
    for name, value in values.items():
        if value not in allowed:
            raise ValueError(f"`{name}` must be one of {', '.join(allowed)}; got {value!r}.")
