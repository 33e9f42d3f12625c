"""Docstrings are plain text made for `help()`; what that means in Markdown."""

import re
import textwrap

import griffe

_FORMULA = re.compile(r"^\S.* (=|<=|>=|:=) \S")
_CODE_OR_STAR = re.compile(r"(`[^`]*`)|(?<![\w*])\*(?=\w)")


def as_markdown(text: str) -> str:
    """Formulas, which stand on lines of their own, keep their lines; stars of shapes stay stars.

    A paragraph is one of formulas where each of its lines is an equation or goes on with one.
    """
    paragraphs = text.split("\n\n")
    shown = []
    for paragraph in paragraphs:
        lines = paragraph.split("\n")
        formulas = bool(_FORMULA.match(lines[0])) and all(
            _FORMULA.match(line) or line.startswith(" ") for line in lines
        )
        if formulas and not paragraph.rstrip().endswith((".", ":", ",")):
            shown.append(textwrap.indent(paragraph, "    "))
        elif paragraph.startswith("    "):
            shown.append(paragraph)
        else:
            shown.append(_CODE_OR_STAR.sub(lambda m: m[1] or r"\*", paragraph))
    return "\n\n".join(shown)


class Docstrings(griffe.Extension):
    """Of every object that mkdocstrings reads."""

    def on_instance(self, *, obj: griffe.Object, **_) -> None:
        """Rewrite its docstring."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
