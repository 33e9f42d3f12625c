"""One-line answers to wrong hyperparameters."""


def positive(**values) -> None:
    """Raise ValueError for the first value that is a Python number and not above zero.

    Traced values pass: they are known only when the program runs.
    """
    for name, value in values.items():
        if isinstance(value, int | float) and not value > 0:
            raise ValueError(f"`{name}` must be greater than 0; got {value}.")


def not_negative(**values) -> None:
    """Raise ValueError for the first value that is a Python number and below zero."""
    for name, value in values.items():
        if isinstance(value, int | float) and not value >= 0:
            raise ValueError(f"`{name}` must be at least 0; got {value}.")


def one_of(allowed: tuple[str, ...], **values) -> None:
    """Raise ValueError for the first value that is not among `allowed`."""
    for name, value in values.items():
        if value not in allowed:
            raise ValueError(f"`{name}` must be one of {', '.join(allowed)}; got {value!r}.")
