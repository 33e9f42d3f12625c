"""A table as text: for people in Markdown, for programs in CSV."""

import csv
import io
from collections.abc import Mapping, Sequence

from saljax.evaluation.summary import Entry

ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}
NOTHING = "–"
WIDEST = 6
"""Most methods side by side; more go below each other. Our choice."""
SUBSETS = {"all": "all images", "small": "small objects"}


def markdown(
    title: str,
    facts: Sequence[str],
    entries: Sequence[Entry],
    sizes: Mapping[str, int],
    seconds: Mapping[str, float | None],
    missing: Sequence[str],
) -> str:
    """Tables for each subset of the images: a line a metric, a column a method.

    Args:
        title: of the page.
        facts: sentences that say what was compared.
        entries: the numbers.
        sizes: subset -> number of its images.
        seconds: row -> time a map took.
        missing: what could not be done.

    Returns:
        The page.
    """
    rows = list(seconds)
    parts = [f"# {title}", "\n".join(f"- {fact}" for fact in facts)]
    for subset, size in sizes.items():
        own = [entry for entry in entries if entry.subset == subset]
        lines = [[f"{SUBSETS[subset]} ({size})", *rows]]
        for column in dict.fromkeys(entry.column for entry in own):
            lines.append(_line([entry for entry in own if entry.column == column], size))
        if subset == "all":
            times = [NOTHING if s is None else f"{s:.2g}" for s in seconds.values()]
            lines.append(["seconds an image", *times])
        parts += [
            _aligned([[name, *cells[first : first + WIDEST]] for name, *cells in lines])
            for first in range(0, len(rows), WIDEST)
        ]
    if missing:
        parts.append("## Missing")
        parts.append("\n".join(f"- {line}" for line in missing))
    return "\n\n".join(parts) + "\n"


def comma_separated(entries: Sequence[Entry]) -> str:
    """A line an entry, under a line of names; six digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["subset", "metric", "better", "method", *Entry._fields[4:]])
    for entry in entries:
        values = ["" if v is None else f"{v:.6g}" if isinstance(v, float) else v for v in entry]
        writer.writerow(values)
    return text.getvalue()


def _line(entries: Sequence[Entry], size: int) -> list[str]:
    """A metric: its name, then a cell a method."""
    numbers = {entry.images for entry in entries if entry.images}
    common = numbers.pop() if len(numbers) == 1 else size
    of = f" (n = {common})" if common != size else ""
    digits = 1 if max((abs(e.mean) for e in entries if e.mean is not None), default=0) >= 10 else 3
    name = f"{entries[0].column}{ARROWS[entries[0].better]}{of}"
    return [name, *(_cell(entry, common, digits) for entry in entries)]


def _cell(entry: Entry, common: int, digits: int) -> str:
    if entry.mean is None:
        return NOTHING
    text = f"{entry.mean:.{digits}f}"
    if entry.standard_error is not None:
        text += f" ± {entry.standard_error:.{digits}f}"
    if entry.images != common:
        text += f" (n = {entry.images})"
    return f"{text}, {entry.note}" if entry.note else text


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    rule = ["-" * width for width in widths]
    first, *others = (
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |"
        for line in [lines[0], rule, *lines[1:]]
    )
    return "\n".join([first, *others])
