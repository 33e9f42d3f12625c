"""What README and the site say is so: examples run, names exist, the reference has all of them."""

import ast
import functools
import importlib
import importlib.util
import inspect
import pathlib
import re
import shlex
import sys

import jax
import pytest

import saljax

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SNIPPET = re.compile(r"(?:<!-- needs: (.*?) -->\n)?```python.*?\n(.*?)```", re.DOTALL)


def snippets(page: pathlib.Path) -> list[tuple[str, str]]:
    """Code, and what it needs that is not there: modules, or files of the reader."""
    found = []
    for needs, code in SNIPPET.findall(page.read_text()):
        named = [name.strip() for name in needs.split(",") if name.strip()]
        lacking = [n for n in named if "." in n or importlib.util.find_spec(n) is None]
        found.append((code, ", ".join(lacking)))
    return found


def called(page: pathlib.Path) -> str:
    return str(page.relative_to(ROOT))


WITH_CODE = [page for page in PAGES if any(not lacks for _, lacks in snippets(page))]
LACKING = [
    pytest.param(lacks, id=f"{called(page)}:{lacks}")
    for page in PAGES
    for _, lacks in snippets(page)
    if lacks
]


@pytest.mark.parametrize("page", WITH_CODE, ids=called)
def test_examples_run(page, tmp_path, monkeypatch, as_users_run):
    """From top to bottom, as a reader would, with JAX as readers have it."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": called(page), "print": lambda *_: None}
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        for code, lacks in snippets(page):
            if not lacks:
                exec(compile(code, called(page), "exec"), names)
    maps = names["maps"]
    for saliency in maps if isinstance(maps, list) else [maps]:
        assert bool(jax.numpy.isfinite(saliency).all()) and float(saliency.max()) > 0


@pytest.mark.parametrize("lacks", LACKING)
def test_examples_that_need_more(lacks):
    pytest.skip(f"needs {lacks}")


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_names_exist(page):
    for name in set(re.findall(r"`(saljax(?:\.\w+)+)", page.read_text())):
        first, *rest = name.split(".")
        try:
            functools.reduce(getattr, rest, saljax)
        except AttributeError:
            importlib.import_module(name)  # an inner module
        except ImportError:  # an adapter, whose framework is not installed
            assert rest[0] == "scores" and importlib.util.find_spec(f"saljax.adapters.{rest[1]}")


@pytest.fixture
def making(monkeypatch):
    """The code that makes pages."""
    monkeypatch.syspath_prepend(ROOT / "docs" / "making")
    yield importlib.import_module("reference")
    for name in ("reference", "tables", "gallery"):
        sys.modules.pop(name, None)


def public(module) -> set[str]:
    """Names without those of modules; an adapter's framework may not be installed."""
    found = set()
    for name in dir(module):
        try:
            inner = inspect.ismodule(getattr(module, name))
        except ImportError:
            inner = False
        if not inner and not name.startswith("_"):
            found.add(f"{module.__name__}.{name}")
    return found


@pytest.mark.parametrize("name", ["", ".scores", ".models", ".metrics"])
def test_the_reference_has_every_public_name(making, name):
    text = "\n".join(making.pages().values())
    module = importlib.import_module(f"saljax{name}")
    assert public(module) <= set(re.findall(r'heading: "(.*?)"', text))


def test_every_method_is_in_the_tables(making):
    from saljax.methods.table import METHODS

    tables = importlib.import_module("tables")
    table, cards = tables.methods(), tables.cards()
    for name, known in METHODS.items():
        assert f"| [`{name}`]" in table and f"saljax.{name}" in cards
        assert known.paper in tables.bibliography()


@pytest.fixture(scope="module")
def options():
    """All that the commands and methods take, by command."""
    import click

    from saljax.cli.group import cli
    from saljax.methods.table import METHODS
    from saljax.training.explainers import Recipe

    def of(command: click.Command) -> set[str]:
        inner = command.commands.values() if isinstance(command, click.Group) else ()
        own = [opt for p in command.params for opt in [*p.opts, *p.secondary_opts]]
        return {"--help", *own}.union(*map(of, inner))

    functions = [Recipe, *(known.function for known in METHODS.values())]
    parameters = [name for function in functions for name in inspect.signature(function).parameters]
    of_methods = {f"--{name.replace('_', '-')}" for name in parameters}
    return {name: of(command) | of_methods for name, command in cli.commands.items()}


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_commands_exist(page, options):
    lines = re.findall(r"^    (?:\.venv/bin/)?saljax (.*)$", page.read_text(), re.MULTILINE)
    for line in lines:
        command, *words = shlex.split(line, comments=True)
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        own = set(re.findall(r"\b(\w+): \w+ = ", page.read_text()))  # of the page's own method
        own = {f"--{name.replace('_', '-')}" for name in own}
        assert given <= options[command] | own, line


def said(folder: pathlib.Path) -> str:
    """All text that the code has, and the names in it."""
    parts = []
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                values = [v.value for v in node.values if isinstance(v, ast.Constant)]
                parts.append("\0".join(map(str, values)))
    return "\n".join(parts)


def test_messages_explained_are_those_that_are_said():
    page = (ROOT / "docs" / "guides" / "troubleshooting.md").read_text()
    headings = re.findall(r"^### (.*)$", page, re.MULTILINE)
    quoted = [h for h in headings if "…" in h and "XLA" not in h]
    assert len(quoted) > 15
    text = said(ROOT / "saljax")
    for heading in quoted:
        for part in heading.split("…"):
            assert part.strip(" ,") in text, heading
