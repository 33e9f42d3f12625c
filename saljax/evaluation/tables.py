"""A table as text: for people in Markdown, for programs in CSV; `latex` has it for papers."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from saljax.evaluation import ranks
from saljax.evaluation.differences import Difference
from saljax.evaluation.summary import Collected, Entry

ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}
NOTHING = "–"
WIDEST = 6
"""Most metrics side by side; more go below each other. Our choice."""
SUBSETS = {"all": "All images", "small": "Small objects"}
OVERALL, SECONDS = "Overall", "seconds an image"
GROUPS = {
    "boxes": "Localization",
    "classifier": "Faithfulness",
    "map": "Complexity",
    "method": "Robustness",
}
"""What metrics judge, by what they need beside the map."""
Mark = Literal["best", "like the best", ""]


class Table(NamedTuple):
    """Numbers in their places.

    Attributes:
        rows: names of the methods.
        groups: title -> columns.
        entries: (subset, column, row) -> number.
        sizes: subset -> number of its images.
        seconds: row -> time a map took.
        like: (subset, column, row) of what is not different from the best.
    """

    rows: Sequence[str]
    groups: Mapping[str, Sequence[str]]
    entries: Mapping[tuple[str, str, str], Entry]
    sizes: Mapping[str, int]
    seconds: Mapping[str, float | None]
    like: frozenset[tuple[str, str, str]]


class Cell(NamedTuple):
    """A number as it is shown, or an entry of the first line or column."""

    mean: str
    error: str = ""
    images: int | None = None
    mark: Mark = ""


def table(
    collected: Collected,
    entries: Sequence[Entry],
    differences: Sequence[Difference],
    seconds: Mapping[str, float | None],
) -> Table:
    """Bring numbers to their places.

    A subset of one image is left out, unless it is all there is.

    Args:
        collected: see `summary.collect`.
        entries: see `summary.entries`.
        differences: see `summary.compared`.
        seconds: see `summary.seconds`.
    """
    groups: dict[str, list[str]] = {}
    if any(entry.column == ranks.NAME for entry in entries):
        groups[OVERALL] = [ranks.NAME]
    for kind, title in GROUPS.items():
        own = [
            c.name for m, columns in collected.by_measure if m.known.needs == kind for c in columns
        ]
        groups |= {title: own} if own else {}
    sizes = {name: int(chosen.sum()) for name, chosen in collected.subsets.items()}
    return Table(
        collected.rows,
        groups,
        {(entry.subset, entry.column, entry.row): entry for entry in entries},
        {name: size for name, size in sizes.items() if size > 1 or name == "all"},
        seconds,
        frozenset(
            (one.subset, one.column, one.row)
            for one in differences
            if one.role == "best" and one.verdict == "not different"
        ),
    )


def lines(table: Table, subset: str, columns: Sequence[str]) -> list[list[Cell]]:
    """A part of a table: names of columns, then a line a method.

    Args:
        table: the table.
        subset: of the images.
        columns: names of columns, or `SECONDS`.

    Returns:
        Cells. What is of a single image, where there are more, has no mean.
    """
    found = [[Cell("method")], *([Cell(row)] for row in table.rows)]
    for name in columns:
        if name == SECONDS:
            times = [table.seconds.get(row) for row in table.rows]
            cells = [Cell(NOTHING if time is None else f"{time:.2g}") for time in times]
            head = Cell(name)
        else:
            head, cells = _column(table, subset, name)
        for line, cell in zip(found, [head, *cells], strict=True):
            line.append(cell)
    return found


def _column(table: Table, subset: str, name: str) -> tuple[Cell, list[Cell]]:
    size = table.sizes[subset]
    own = [table.entries[subset, name, row] for row in table.rows]
    numbers = {entry.images for entry in own if entry.images}
    common = numbers.pop() if len(numbers) == 1 else size
    shown = [e if e.images > 1 or size == 1 else e._replace(mean=None) for e in own]
    means = [entry.mean for entry in shown if entry.mean is not None]
    better = own[0].better
    differ = better and len(set(means)) > 1
    best = (max if better == "higher" else min)(means) if differ else None
    digits = 1 if max(map(abs, means), default=0) >= 10 else 3
    cells = []
    for entry in shown:
        if entry.mean is None:
            cells.append(Cell(NOTHING))
            continue
        error = "" if entry.standard_error is None else f"{entry.standard_error:.{digits}f}"
        like = differ and (subset, name, entry.row) in table.like
        mark: Mark = "best" if entry.mean == best else "like the best" if like else ""
        images = entry.images if entry.images != common else None
        cells.append(Cell(f"{entry.mean:.{digits}f}", error, images, mark))
    return Cell(name + ARROWS[better], images=common if common != size else None), cells


def markdown(
    title: str,
    facts: Sequence[str],
    table: Table,
    against_center: Sequence[str],
    missing: Sequence[str],
) -> str:
    """A page: for each subset of the images, tables of a line a method and a column a metric.

    Args:
        title: of the page.
        facts: sentences that say what was compared.
        table: the numbers.
        against_center: sentences that compare with `center`.
        missing: what could not be done.

    Returns:
        The page.
    """
    parts = [f"# {title}", "\n".join(f"- {fact}" for fact in facts)]
    for subset, size in table.sizes.items():
        parts.append(f"## {SUBSETS[subset]} ({size})")
        for name, columns in table.groups.items():
            columns = [*columns, SECONDS] if (name, subset) == (OVERALL, "all") else columns
            parts += _group(table, subset, name, columns)
        if subset == "all" and OVERALL not in table.groups:
            parts += _group(table, subset, OVERALL, [SECONDS])
    for heading, sentences in (("Against center", against_center), ("Missing", missing)):
        if sentences:
            parts += [f"## {heading}", "\n".join(f"- {line}" for line in sentences)]
    return "\n\n".join(parts) + "\n"


def _group(table: Table, subset: str, title: str, columns: Sequence[str]) -> list[str]:
    """Its tables under its title, and how their numbers came about."""
    parts = [f"### {title}"]
    for first in range(0, len(columns), WIDEST):
        found = lines(table, subset, columns[first : first + WIDEST])
        parts.append(_aligned([[_shown(cell) for cell in line] for line in found]))
    notes = []
    for name in columns:
        own = [table.entries[subset, name, row] for row in table.rows if name != SECONDS]
        noted = [f"{entry.row} {entry.note}" for entry in own if entry.note]
        notes += [f"- {name}: {', '.join(noted)}"] if noted else []
    return [*parts, "\n".join(notes)] if notes else parts


def _shown(cell: Cell) -> str:
    stars = {"best": "**", "like the best": "*", "": ""}[cell.mark]
    error = f" ± {cell.error}" if cell.error else ""
    images = f" (n = {cell.images})" if cell.images is not None else ""
    return f"{stars}{cell.mean}{stars}{error}{images}"


def comma_separated(lines: Sequence[Entry] | Sequence[Difference]) -> str:
    """A line each, under a line of names; six digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    kind = type(lines[0]) if lines else Entry
    writer.writerow([_NAMES.get(name, name) for name in kind._fields])
    for one in lines:
        values = ["" if v is None else f"{v:.6g}" if isinstance(v, float) else v for v in one]
        writer.writerow(values)
    return text.getvalue()


_NAMES = {"column": "metric", "row": "method"}


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    rule = ["-" * width for width in widths]
    first, *others = (
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |"
        for line in [lines[0], rule, *lines[1:]]
    )
    return "\n".join([first, *others])
