"""The folder of a page: `index.html` and what it shows."""

import shutil
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from saljax.evaluation.tfds_cases import data_name
from saljax.page import data as numbers
from saljax.page import pictures
from saljax.page.citations import bibtex
from saljax.page.run import Run, changed, paper
from saljax.runs import inputs, store

SCRIPTS = ("common.js", "table.js", "plots.js", "detail.js", "images.js")
COPIED = ("table.csv", "table.tex", "table.md", "values.csv", "differences.csv", "curves.csv")


def write(
    run: Run,
    out: Path,
    folder: Path,
    most: int = numbers.MOST,
    advance: Callable[..., None] = lambda items=1: None,
    contents: inputs.Contents = MappingProxyType({}),
) -> int:
    """Write the page of an evaluation.

    Args:
        run: the evaluation.
        out: folder of the page; files of an earlier one are replaced.
        folder: of the images that were explained.
        most: images with pictures. The table is of all, the numbers of single images are of the
            first `data.MOST`.
        advance: told how many images more have theirs.
        contents: of images that are no files in the folder.

    Returns:
        How many images are not there any more.

    Raises:
        OSError: it cannot be written.
    """
    images = run.record["images"]
    listed = min(len(images), numbers.MOST)
    shown, lost = min(most, listed), 0
    signs = [pictures.are_signed(run, name) for name in run.methods]
    for place in range(shown):
        photo = pictures.photo(run, place, folder, contents)
        maps = pictures.maps(run, place, signs)
        lost += photo is None
        for kind, content in (("photo", photo), ("maps", maps)):
            if content is not None:
                store.write(out / kind / f"{place}.jpg", content)
        advance(1)
    for first in range(0, listed if run.curves else 0, numbers.AT_ONCE):
        text = numbers.script(f"saljaxCurves[{first}]", numbers.of_curves(run, first))
        store.write(out / "curves" / f"{first}.js", text.encode())
    text = numbers.script("const saljax", numbers.of_page(run, shown, signs))
    store.write(out / "data.js", text.encode())
    own = resources.files("saljax.page") / "static"
    for name in (*SCRIPTS, "page.css"):
        store.write(out / name, (own / name).read_bytes())
    files = [name for name in COPIED if (run.folder / name).exists()]
    for name in files:
        shutil.copyfile(run.folder / name, out / name)
    # Last: a page that is there is whole.
    store.write(out / "index.html", _html("index.html", **_about(run, files)).encode())
    return lost


def write_list(names: Sequence[str], titles: Sequence[str], out: Path) -> None:
    """Write the page that leads to several, each in a folder inside `out`."""
    pages = list(zip(names, titles, strict=True))
    text = _html("list.html", pages=pages)
    store.write(out / "page.css", (resources.files("saljax.page") / "static/page.css").read_bytes())
    store.write(out / "index.html", text.encode())


def _html(name: str, **given: Any) -> str:
    import jinja2

    loader = jinja2.PackageLoader("saljax.page", "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True)
    text = environment.get_template(name).render(**given)
    return text.encode("utf-8", "backslashreplace").decode()


def _about(run: Run, files: Sequence[str]) -> dict[str, Any]:
    """What the template is given."""
    record, settings = run.record, run.record["settings"]
    papers = {name: paper(one) for name, one in settings["methods"].items()}
    digests = {"weights": settings.get("weights"), "boxes": settings.get("boxes")}
    digests |= {name: one.get("source") for name, one in settings["methods"].items()}
    digests |= {name: one.get("source") for name, one in settings["metrics"].items()}
    digests |= {"model": settings.get("model_source")}
    return {
        "title": record["title"],
        "facts": record["facts"],
        "missing": record["missing"],
        "files": files,
        "scripts": SCRIPTS,
        "images": len(record["images"]),
        "command": settings["command"],
        "about": {
            "classifier": settings["model"],
            "data": data_name(settings["data"]),
            "class explained": settings["target"],
            "seed": settings["seed"],
            "batch size": settings["batch_size"],
        },
        "changed": changed(run),
        "versions": settings["versions"],
        "digests": {
            name: {"file": Path(one.get("file", "")).name, "sha256": one["sha256"]}
            for name, one in digests.items()
            if isinstance(one, dict) and "sha256" in one
        },
        "papers": {name: text for name, text in papers.items() if text},
        "bibtex": bibtex(papers, settings["versions"]["saljax"]),
    }
