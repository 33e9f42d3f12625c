"""BibTeX entries of what an evaluation rests on."""

import re
from collections.abc import Mapping

_KEPT = re.compile(r"[A-Z][^\s]*[A-Z][^\s]*|[A-Z]{2,}")
"""Words whose capital letters BibTeX must keep."""


def bibtex(papers: Mapping[str, str], version: str) -> str:
    """Entries of papers, one each, and of saljax.

    Args:
        papers: name of a method -> its paper, `Title (place year)`; "" where none is known.
        version: of saljax.

    Returns:
        A .bib file; authors are not known here and left to be filled in.
    """
    entries = [
        "@software{saljax,\n  title = {saljax: visual explanation in {JAX}},\n"
        f"  author = {{{{The saljax authors}}}},\n  version = {{{version}}}\n}}"
    ]
    named: dict[str, str] = {}
    for name, paper in papers.items():
        if paper:
            named.setdefault(paper, name)
    for paper, name in named.items():
        found = re.fullmatch(r"(?P<title>.*) \((?P<place>.*?)\s*(?P<year>\d{4})\)", paper)
        title, fields = (found["title"], found) if found else (paper, None)
        lines = [f"  title = {{{_KEPT.sub(lambda word: f'{{{word[0]}}}', title)}}}"]
        if fields:
            lines += [f"  howpublished = {{{fields['place']}}}"] if fields["place"] else []
            lines += [f"  year = {{{fields['year']}}}"]
        entries.append(f"@misc{{{name},\n" + ",\n".join(lines) + "\n}")
    return "\n\n".join(entries) + "\n"
