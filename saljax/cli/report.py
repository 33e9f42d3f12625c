"""`saljax report`: evaluations as pages that open from disk."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import click

from saljax.cli import options
from saljax.cli.console import MISTAKE, echo, mistakes, say


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=options.File())
@click.option(
    "--data",
    metavar="FOLDER|tfds:NAME",
    type=options.File(),
    help="Where the photographs are now.  [default: where they were]",
)
@click.option(
    "--number",
    type=click.IntRange(0, 5000),
    default=5000,
    show_default=True,
    help="Photographs shown, with their maps; the table is of all.",
)
@click.option(
    "--out",
    metavar="DIR",
    type=options.File(),
    help="Where to write.  [default: page in the folder of the run; of several runs ./page]",
)
@click.pass_context
def report(
    ctx: click.Context, runs: Sequence[Path], data: Path | None, number: int, out: Path | None
) -> None:
    """Make pages of the folders that `saljax evaluate` wrote.

    One folder with index.html, which opens without a server: the table, to be sorted; the
    photographs with all maps, by class, size, hit or miss, worst first; curves, distributions; how
    it was made, with BibTeX.
    """
    from saljax.page import run, site
    from saljax.runs import store

    lost = 0
    with mistakes():
        found = [run.read(folder) for folder in runs]
        out = out or (runs[0] / "page" if len(runs) == 1 else Path("page"))
        store.check_writable(out)
        names = store.distinct_names([Path(folder.resolve().name + ".x") for folder in runs])
        for one, name in zip(found, names, strict=True):
            place = out if len(found) == 1 else out / name
            lost += write(one, place, number, data)
        if len(found) > 1:
            site.write_list(names, [one.record["title"] for one in found], out)
    ctx.exit(MISTAKE if lost else 0)


def write(run, out: Path, number: int, data: Path | None = None) -> int:
    """Write one page and say where it is; return how many photographs are not there any more."""
    from saljax.page import site
    from saljax.runs.progress import progress

    shown = min(number, len(run.record["images"]))
    folder = data or Path(run.record["settings"]["data"])
    contents = _contents(folder, [one["image"] for one in run.record["images"][:shown]])
    with progress("drawing the page", shown, "image") as advance:
        lost = site.write(run, out, folder, number, advance, contents)
    if lost:
        say(f"{folder}: {lost} of {shown} photographs are not there; --data says where they are")
    echo(f"-> {out / 'index.html'}")
    return lost


def _contents(data: Path, images: Iterable[str]) -> dict[Path, Callable[[], bytes]]:
    """Of the images of a data set; none where they are files, or it cannot be opened."""
    from saljax.evaluation import tfds_cases

    wanted, found = {data / name for name in images}, dict[Path, Callable[[], bytes]]()
    if not str(data).startswith(tfds_cases.PREFIX):
        return found
    try:
        for path, content in tfds_cases.pictures(data):
            if path in wanted:
                found.setdefault(path, content)
            if len(found) == len(wanted):
                break
    except ValueError as error:  # all but the photographs can be shown
        say(str(error))
    return found
