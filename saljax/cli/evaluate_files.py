"""What `saljax evaluate` writes, but for what it needs to go on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from saljax.evaluation import curves, facts, kept_maps, latex, summary, tables, values
from saljax.evaluation.blocks import read_map
from saljax.evaluation.differences import in_words
from saljax.evaluation.judged import Done
from saljax.evaluation.study import Study
from saljax.evaluation.tfds_cases import data_name
from saljax.report import grids, lines
from saljax.runs import records, store


def write(
    study: Study,
    judged: Sequence[Done],
    asked: dict[str, Any],
    complaints: Sequence[str],
    per_class: bool,
) -> tuple[str, list[str]]:
    """Store all that came of it but pictures; return the page for people, and names of files."""
    collected = summary.collect(study, judged)
    entries, differences = summary.entries(collected), summary.compared(collected)
    seconds = summary.seconds(study, judged)
    table = tables.table(collected, entries, differences, seconds)
    title = f"{study.classifier.about.name} on {data_name(asked['data'])}"
    notes = facts.facts(study, judged, asked["target"])
    page = tables.markdown(
        title, notes, table, in_words(differences, collected.compared, "all"), complaints
    )
    record = {
        "title": title,
        "facts": notes,
        "settings": asked | facts.settings(study),
        "table": [entry._asdict() for entry in entries],
        "groups": table.groups,
        "seconds": seconds,
        "missing": complaints,
        "images": facts.of_images(judged),
    }
    texts = {
        "table.md": page,
        "table.csv": tables.comma_separated(entries),
        "table.tex": latex.latex(title, table),
        "differences.csv": tables.comma_separated(differences),
    }
    if per_class:
        classes = [summary.of_subset(collected, *one) for one in collected.classes.items()]
        texts["per_class.csv"] = tables.comma_separated(sum(classes, []))
    if collected.curves:
        texts["curves.csv"] = curves.comma_separated(collected.curves)
        store.write(study.out / "curves.png", _curves(collected))
        with store.writing(study.out / curves.FILE) as file:
            np.savez(file, **curves.arrays(collected.curves))
    for name, text in texts.items():
        store.write(study.out / name, text.encode("utf-8", "backslashreplace"))
    with store.writing(study.out / values.FILE) as file:
        file.writelines(values.lines(judged, collected.rows, collected.columns))
    kept_maps.write(study.out, judged, collected.rows)
    store.write_json(study.out / "table.json", record)
    drawn = ["curves.png", curves.FILE] if collected.curves else []
    return page, [*texts, values.FILE, *drawn, "table.json"]


def _curves(collected: summary.Collected) -> bytes:
    """Mean curves of all methods."""
    panels = []
    for curve in collected.curves:
        found = {row: curves.mean(values) for row, values in curve.values.items()}
        found = {row: one for row, one in found.items() if one[2]}
        means = {row: one[0] for row, one in found.items()}
        errors = {row: one[1] for row, one in found.items()}
        panels.append(lines.Lines(curve.name, curve.along, curve.at, means, errors))
    return grids.png(lines.draw(panels, [r for r in collected.rows if r not in collected.compared]))


def picture(study: Study, judged: Sequence[Done], most: int) -> bytes | None:
    """The first photographs with their boxes, and a map of each method beside them."""
    shown = [row.name for row in study.rows if not row.is_reference]
    shown = [name for name in shown if any(one.map(name) for one in judged)]
    drawn = []
    for one in [one for one in judged if all(map(one.map, shown))][:most]:
        picture = study.read(one.case).shown
        maps = [read_map(place) for name in shown if (place := one.map(name))]
        record = one.record
        target, first = record["target"], record["prediction"][0]
        title = records.title_of(target["class"], target["probability"])
        row = grids.comparison(picture, maps, shown, title, one.case.image)
        if first["index"] != target["index"]:
            seen_as = f"seen as {records.title_of(first['class'], first['probability'])}"
            row = row._replace(panels=(row.panels[0]._replace(caption=seen_as), *row.panels[1:]))
        corners = np.asarray(record["boxes"])
        drawn.append(grids.boxed(row, corners, study.classifier.about.input_shape[:2]))
    return grids.png(grids.grid(drawn)) if drawn else None
