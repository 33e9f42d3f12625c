"""Tables of what the method records and docstrings say."""

import inspect
import json
import re
from typing import Any

import gallery
import reference

from saljax.methods.table import METHODS, Known

FAMILIES = {
    "perturbation": ("By light, shadow and masks", "scores"),
    "optimization": ("By optimizing a mask", "the gradient in the image"),
    "learned": ("By a network that learned", "training, once"),
    "gradients": ("By gradients", "the gradient in the image"),
    "cams": ("Class activation maps", "a layer"),
    "modified_backprop": ("By modified backpropagation", "a function that can be read"),
    "attention": ("By attention", "a transformer with tagged attention"),
}
"""Folder -> title, and what a method of it needs of the classifier."""


def family(known: Known) -> str:
    """The folder a method lies in."""
    return known.function.__module__.split(".")[2]


def link(name: str, thing: Any, text: str = "") -> str:
    """A link to a name in the reference."""
    return f"[`{text or name}`][{reference.identifier(name, thing)}]"


def first_sentence(thing: Any) -> str:
    """The first line of a docstring."""
    paragraph = (inspect.getdoc(thing) or "").split("\n\n")[0]
    return " ".join(paragraph.split()).replace("*", r"\*").replace("|", r"\|")


def source(thing: Any) -> str:
    """What a docstring says after `Source:`, in one line; "" if nothing."""
    found = re.search(r"(?:^|\n)Source: (.*?)(?:\n\n|$)", inspect.getdoc(thing) or "", re.DOTALL)
    return " ".join(found[1].split()).replace("*", r"\*").replace("|", r"\|") if found else ""


def needs(known: Known) -> str:
    """What a method needs of the classifier beside its scores."""
    if known.at_layer and family(known) != "cams":
        return f"{FAMILIES[family(known)][1]}, a layer"
    return FAMILIES[family(known)][1]


def methods() -> str:
    """One row a method."""
    costs = json.loads((gallery.FOLDER / "costs.json").read_text())
    rows = ["| method | what it does | explains | needs | classes at once | ms a map |"]
    rows.append("|---|---|---|---|---|---|")
    for name, known in METHODS.items():
        several = "one" if known.one_class else "several"
        cost = f"{1000 * costs[name]:.0f}" if name in costs else ""
        cells = [link(name, known.function), first_sentence(known.function), known.explains]
        rows.append(f"| {' | '.join([*cells, needs(known), several, cost])} |")
    return "\n".join(rows)


def cards() -> str:
    """The gallery: a card a method, below the title of its family."""
    costs = json.loads((gallery.FOLDER / "costs.json").read_text())
    parts = []
    for folder, (title, _) in FAMILIES.items():
        parts.append(f'## {title}\n\n<div class="gallery" markdown>\n')
        for name, known in gallery.SHOWN.items():
            if family(known) != folder:
                continue
            cost = f", {1000 * costs[name]:.0f} ms a map" if name in costs else ""
            drawn = (
                f"![Maps of {name}: one bird, and two asked about the lower](gallery/{name}.jpg)"
            )
            parts.append(
                '<figure markdown="1">\n'
                f"{drawn if (gallery.FOLDER / f'{name}.jpg').exists() else ''}\n"
                f'<figcaption markdown="1">{link(name, known.function)}{cost}<br>'
                f"`{gallery.call(name)}`<br>{known.paper}</figcaption>\n</figure>\n"
            )
        parts.append("</div>\n")
    return "\n".join(parts)


def bibliography() -> str:
    """Papers of the methods, and what the docstrings of the metrics name as their sources."""
    papers: dict[str, list[str]] = {}
    for name, known in gallery.SHOWN.items():
        papers.setdefault(known.paper, []).append(link(name, known.function))
    rows = ["## Methods\n"]
    rows += [f"- {paper}: {', '.join(names)}" for paper, names in sorted(papers.items())]
    rows.append("\n## Metrics\n\n| metric | source |\n|---|---|")
    for name, thing in reference.placed()["metrics"].items():
        if inspect.isfunction(thing) and source(thing):
            short = name.rpartition(".")[2]
            rows.append(f"| {link(short, thing)} | {source(thing)} |")
    return "\n".join(rows)


def command_line() -> str:
    """What each command says of itself."""
    import click

    from saljax.cli.group import cli

    parts = ["# Command line\n\n`saljax COMMAND --help` says the same; with `--method` also the "
             "method's own options.\n"]  # fmt: skip

    def add(command: click.Command, words: list[str], parent: click.Context | None) -> None:
        context = click.Context(command, parent, info_name=words[-1])
        context.meta.update({"read": [], "title": "", "asked": []})
        parts.append(f"## `{' '.join(words)}`\n\n```text\n{command.get_help(context)}\n```\n")
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                if found:
                    add(found, [*words, name], context)

    add(cli, ["saljax"], None)
    return "\n".join(parts)
