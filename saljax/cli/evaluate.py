"""`saljax evaluate`: methods compared by metrics, on many photographs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from saljax.cli import options
from saljax.cli.console import MISTAKE, echo, fetching, mistakes, say


@click.command()
@click.option(
    "--data",
    metavar="FOLDER",
    required=True,
    type=options.File(),
    help="Photographs, directly inside it.",
)
@click.option(
    "--boxes",
    metavar="FILE",
    type=options.File(),
    help="Boxes of their objects, .json, .jsonl, .csv or .tsv; without it, metrics that need none.",
)
@click.option(
    "--boxes-format",
    type=click.Choice(["pixels", "normalized"]),
    help="Corners in pixels of the file, or as shares of its width and height.  [default: pixels, "
    "but where all lie in 0..1 it must be said]",
)
@options.model("birdlets")
@options.weights
@options.own
@click.option(
    "--methods",
    default="glas",
    show_default=True,
    metavar="A,B,...",
    help="See `saljax methods`; `fine=glas` is glas under a name of its own, and FILE.py:NAME a "
    "method of yours.",
)
@click.option(
    "--metrics",
    metavar="A,B,...",
    help="See `saljax metrics`; all: all that can be measured; FILE.py:NAME: one of yours.  "
    "[default: those that cost little]",
)
@click.option(
    "--set",
    "texts",
    multiple=True,
    metavar="NAME.KEY=VALUE",
    help="A hyperparameter of a method or metric, such as fine.sigma_light=1.5; may be repeated.",
)
@click.option(
    "--target",
    metavar="CLASS",
    help="Class to explain: label, the one of the boxes; or top-1, the predicted one; or a name "
    "or index for all.  [default: label where the boxes have labels, else top-1]",
)
@click.option("--number", type=click.IntRange(min=1), help="Only the first photographs, by name.")
@click.option(
    "--references/--no-references",
    default=True,
    show_default=True,
    help="Compare with `center` and `random`, maps that do not look at the classifier.",
)
@click.option(
    "--pictures",
    default=8,
    show_default=True,
    type=click.IntRange(min=0),
    help="Photographs in the picture.",
)
@options.seed
@options.batch_size
@options.values
@options.out("evaluation")
@click.pass_context
def evaluate(
    ctx: click.Context,
    data: Path,
    boxes: Path | None,
    boxes_format: Any,
    model: str,
    weights: Path | None,
    input_size: Sequence[int] | None,
    labels: Path | None,
    methods: str,
    metrics: str | None,
    texts: Sequence[str],
    target: str | None,
    number: int | None,
    references: bool,
    pictures: int,
    seed: int,
    batch_size: int | None,
    values: tuple[float, float] | None,
    out: Path,
) -> None:
    """Compare methods on photographs whose objects are known.

    Writes table.md, table.csv, table.json with all settings, and pictures.png; under maps and
    values what they are made from, one file a method and image. Interrupted, the same command
    goes on where it was; with other settings it computes what they change.
    """
    import jax

    from saljax.evaluation import cases, measures, rows
    from saljax.evaluation.study import Study
    from saljax.evaluation.study import evaluate as run
    from saljax.runs import classifier, records, store, targets
    from saljax.runs.hyperparameters import named
    from saljax.runs.progress import progress

    complaints: list[str] = []

    def complain(what: str, problem: str) -> None:
        line = " ".join(f"{what}: {problem}".split())
        if line not in complaints:
            complaints.append(line)
            say(line)

    noted: set[str] = set()

    def note(what: object, text: str) -> None:
        if text not in noted:  # once, whatever the number of pictures
            noted.add(text)
            say(f"{what}: {text}")

    with mistakes():
        settings = rows.settings(texts)
        about = classifier.info(model, input_size)
        if about.resize is None:
            raise ValueError(f"{model} takes no pictures; saljax evaluate compares on pictures")
        own: dict[str, Any] = {"input_size": input_size, "names": labels}
        known = classifier.load(model, weights, fetching, say, **own)
        compared = rows.rows(methods, settings, about.layer, references)
        compared = [row.equipped(known) for row in compared]
        measured = measures.measures(metrics, settings, about, boxes is not None)
        names = [row.name for row in compared] + [measure.name for measure in measured]
        for name in settings:
            named(name, names, "method or metric of this table")
        wanted = "top-1" if target in (None, "label") else target
        choose = targets.one(wanted, known.labels)
        by_label = None if target is None else target == "label"
        store.check_writable(out)
        found, by_label = cases.gather(
            data, boxes, known.labels, by_label, number, complain, boxes_format, note
        )
        study = Study(
            classifier=known,
            rows=compared,
            measures=measured,
            cases=found,
            choose=choose,
            wanted=wanted,
            seed=seed,
            batch_size=batch_size or (1 if len(found) == 1 else jax.device_count()),
            out=out,
            values=values,
        )
        with progress("evaluating", len(found) * len(compared), "map") as advance:
            judged = run(study, complain, advance, note)
        if not any(one.maps for one in judged):
            raise ValueError("nothing could be explained")
        asked = {
            "data": str(data),
            "boxes": {"file": str(boxes), "sha256": records.sha256(boxes)} if boxes else None,
            "boxes_format": boxes_format or "pixels",
            "target": "label" if by_label else wanted,
        }
        page = _write(study, judged, asked, complaints)
        echo(page)
        written = "table.md, table.csv, table.json"
        if drawn := _picture(study, judged, pictures):
            store.write(out / "pictures.png", drawn)
            written += ", pictures.png"
        echo(f"-> {out}: {written}")
    ctx.exit(MISTAKE if complaints else 0)


def _write(
    study: Any, judged: Sequence[Any], asked: dict[str, Any], complaints: Sequence[str]
) -> str:
    """Store the table in its three forms; the one for people is returned too."""
    from saljax.evaluation import summary, tables
    from saljax.runs import store

    numbers, seconds = summary.entries(study, judged), summary.seconds(study, judged)
    page = tables.markdown(
        f"{study.classifier.about.name} on {Path(asked['data']).resolve().name}",
        summary.facts(study, judged, asked["target"]),
        numbers,
        summary.sizes(judged),
        seconds,
        complaints,
    )
    record = {
        "settings": asked | summary.settings(study),
        "table": [entry._asdict() for entry in numbers],
        "seconds": seconds,
        "missing": complaints,
        "images": summary.of_images(judged),
    }
    store.write(study.out / "table.md", page.encode("utf-8", "backslashreplace"))
    store.write(study.out / "table.csv", tables.comma_separated(numbers).encode())
    store.write_json(study.out / "table.json", record)
    return page


def _picture(study: Any, judged: Sequence[Any], most: int) -> bytes | None:
    """The first photographs with their boxes, and a map of each method beside them."""
    import numpy as np

    from saljax.report import grids
    from saljax.runs import inputs, records, store

    about, values = study.classifier.about, study.values
    framing = about.input_shape, about.resize, about.crop
    shown = [row.name for row in study.rows if not row.is_reference]
    shown = [name for name in shown if any(name in one.maps for one in judged)]
    drawn = []
    for one in [one for one in judged if all(name in one.maps for name in shown)][:most]:
        picture = inputs.read(one.case.path, *framing, values).shown
        maps = [store.read_array(one.maps[name]) for name in shown]
        target, first = one.record["target"], one.record["prediction"][0]
        title = records.title_of(target["class"], target["probability"])
        row = grids.comparison(picture, maps, shown, title, one.case.path.name)
        if first["index"] != target["index"]:
            seen_as = f"seen as {records.title_of(first['class'], first['probability'])}"
            row = row._replace(panels=(row.panels[0]._replace(caption=seen_as), *row.panels[1:]))
        corners = np.asarray(one.record["boxes"])
        drawn.append(grids.boxed(row, corners, about.input_shape[:2]))
    return grids.png(grids.grid(drawn)) if drawn else None
