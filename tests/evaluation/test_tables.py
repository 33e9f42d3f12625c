"""A table as text."""

import csv
import io

import numpy as np
import pytest

from saljax.evaluation.latex import latex
from saljax.evaluation.summary import Entry, _mean
from saljax.evaluation.tables import Table, comma_separated, markdown

ENTRIES = [
    Entry("all", "mean rank", "lower", "a", 1.0, 0.0, 4, ""),
    Entry("all", "mean rank", "lower", "b", None, None, 0, ""),
    Entry("all", "hits", "higher", "a", 0.5, 0.25, 4, ""),
    Entry("all", "hits", "higher", "b", None, None, 0, ""),
    Entry("all", "error", "lower", "a", 0.123456789, None, 1, "alpha 0.5"),
    Entry("all", "error", "lower", "b", 1.0, 0.1, 2, ""),
    Entry("all", "gain", "higher", "a", 0.25, 0.1, 2, ""),
    Entry("all", "gain", "higher", "b", 0.75, 0.1, 2, "alpha 1"),
    Entry("all", "drop", "lower", "a", 0.25, 0.1, 4, ""),
    Entry("all", "drop", "lower", "b", 0.75, 0.1, 3, ""),
    Entry("all", "same", "lower", "a", 1.0, 0.0, 4, ""),
    Entry("all", "same", "lower", "b", 1.0, 0.0, 4, ""),
    Entry("all", "percent", "", "a", 12.345, 1.0, 4, ""),
    Entry("all", "percent", "", "b", 3.0, 1.0, 4, ""),
]
GROUPS = {
    "Overall": ["mean rank"],
    "Faithfulness": ["hits", "error", "gain", "drop", "same", "percent"],
}
LIKE = frozenset({("all", "drop", "b"), ("all", "same", "b")})
TABLE = Table(
    rows=["a", "b"],
    groups=GROUPS,
    entries={(e.subset, e.column, e.row): e for e in ENTRIES},
    sizes={"all": 4},
    seconds={"a": 0.0123, "b": None},
    like=LIKE,
)


def cells(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_markdown():
    page = markdown("Title", ["one", "two"], TABLE, ["a: better"], ["x: is not there"])
    title, facts, subset, overall, first, group, second, notes, *end = page.split("\n\n")
    assert (title, facts, subset) == ("# Title", "- one\n- two", "## All images (4)")
    assert (overall, group) == ("### Overall", "### Faithfulness")
    for table in (first, second):
        assert len({len(line) for line in table.splitlines()}) == 1  # aligned
    assert cells(first)[0] == ["method", "mean rank ↓", "seconds an image"]
    assert cells(first)[2:] == [["a", "1.000 ± 0.000", "0.012"], ["b", "–", "–"]]
    head, rule, *lines = cells(second)
    assert set("".join(rule)) == {"-"}
    shown = {name: column for name, *column in zip(head, *lines, strict=True)}
    assert shown == {
        "method": ["a", "b"],
        "hits ↑": ["0.500 ± 0.250", "–"],
        "error ↓": ["–", "1.000 ± 0.100 (n = 2)"],  # one image is no statistic
        "gain ↑ (n = 2)": ["0.250 ± 0.100", "**0.750** ± 0.100"],
        "drop ↓": ["**0.250** ± 0.100", "*0.750* ± 0.100 (n = 3)"],
        "same ↓": ["1.000 ± 0.000", "1.000 ± 0.000"],  # none is best
        "percent": ["12.3 ± 1.0", "3.0 ± 1.0"],
    }
    assert notes == "- error: a alpha 0.5\n- gain: b alpha 1"
    assert end == ["## Against center", "- a: better", "## Missing", "- x: is not there\n"]
    assert "##" not in markdown("Title", [], TABLE._replace(sizes={}), [], [])


def test_many_metrics_go_below_each_other():
    names = [f"m{i}" for i in range(8)]
    entries = {
        ("all", name, "a"): Entry("all", name, "higher", "a", i / 8, None, 1, "")
        for i, name in enumerate(names)
    }
    table = Table(["a"], {"Complexity": names}, entries, {"all": 1}, {"a": None}, frozenset())
    page = markdown("Title", ["one"], table, [], [])
    first, second = (part for part in page.split("\n\n") if part.startswith("| method | m"))
    assert cells(first)[0] == ["method", *(f"{name} ↑" for name in names[:6])]
    assert cells(second)[0] == ["method", *(f"{name} ↑" for name in names[6:])]
    assert cells(second)[2] == ["a", "0.750", "0.875"]  # of the only image there is


def test_latex():
    text = latex("50 % of a_b", TABLE)
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 2
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 2
    assert r"\caption{50 \% of a\_b, all images (4): faithfulness.}" in text
    assert r"method & hits $\uparrow$ & error $\downarrow$ & gain $\uparrow$ ($n = 2$)" in text
    a, b = (
        line for line in text.splitlines() if line[:3] in ("a &", "b &") and line.count("&") > 1
    )
    assert a.split(" & ")[4] == r"\textbf{0.250} {\scriptsize$\pm$ 0.100}"
    assert b.split(" & ")[4] == r"\textit{0.750} {\scriptsize$\pm$ 0.100} ($n = 3$)"
    assert a.endswith(r"12.3 {\scriptsize$\pm$ 1.0} \\") and a.count("&") == 6


def test_comma_separated():
    lines = list(csv.DictReader(io.StringIO(comma_separated(ENTRIES))))
    assert len(lines) == len(ENTRIES)
    assert lines[4] == {
        "subset": "all", "metric": "error", "better": "lower", "method": "a",
        "mean": "0.123457", "standard_error": "", "images": "1", "note": "alpha 0.5",
    }  # fmt: skip


def test_mean_and_standard_error():
    assert _mean(np.asarray([1.0, np.nan, 4.0])) == (2.5, pytest.approx(1.5), 2)
    assert _mean(np.asarray([2.0, np.nan])) == (2.0, None, 1)
    assert _mean(np.asarray([np.nan])) == (None, None, 0)
