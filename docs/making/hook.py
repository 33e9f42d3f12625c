"""What mkdocs makes while it builds: the reference, tables of the method records, llms.txt."""

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
import reference
import tables

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "experiments" / "results"
SOURCE = "https://github.com/saljax/saljax/blob/main/"
SHOWN = (".md", ".jpg", ".png")
"""Files of results that are in the site; `#anchors` have no suffix."""
PLACES = {"methods": tables.methods, "gallery": tables.cards, "bibliography": tables.bibliography}
"""What `<!-- made: NAME -->` in a page stands for."""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made, and those that lie elsewhere in the repository."""
    made = {f"reference/{page}.md": text for page, text in reference.pages().items()}
    made["reference/command.md"] = tables.command_line()
    made["changelog.md"] = (ROOT / "CHANGELOG.md").read_text()
    made["contributing.md"] = (ROOT / "CONTRIBUTING.md").read_text()
    for page in RESULTS.glob("*.md"):
        name = "index.md" if page.name == "README.md" else page.name
        made[f"results/{name}"] = elsewhere(page.read_text(), "experiments/results/")
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    for picture in [*RESULTS.glob("*.jpg"), *RESULTS.glob("*.png")]:
        path = f"results/{picture.name}"
        files.append(File.generated(config, path, abs_src_path=str(picture)))
    return files


def elsewhere(text: str, folder: str) -> str:
    """Links of a page of results to what is no page go to the repository."""

    def target(match: re.Match) -> str:
        path = match[1]
        in_site = "/" not in path and Path(path.partition("#")[0]).suffix in (*SHOWN, "")
        if "://" in path or in_site:
            return match[0]
        parts = [*folder.rstrip("/").split("/")]
        while path.startswith("../"):
            path, parts = path.removeprefix("../"), parts[:-1]
        return f"]({SOURCE}{'/'.join([*parts, path])})"

    return re.sub(r"\]\(([^)\s]+)\)", target, text)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put tables where a page asks for them; the pages of results lie elsewhere in the site."""
    markdown = markdown.replace("../experiments/results/", "results/")
    markdown = markdown.replace("results/README.md", "results/index.md")
    return re.sub(r"<!-- made: (\w+) -->", lambda match: PLACES[match[1]](), markdown)


def on_post_build(config: Any) -> None:
    """Write llms.txt: every page, for readers that take plain text."""
    lines = [f"# {config.site_name}\n", f"> {config.site_description}\n"]

    def walk(entries: list, depth: int = 2) -> None:
        for entry in entries:
            if isinstance(entry, str):
                lines.append(f"- {config.site_url}{page(entry)}")
                continue
            ((title, value),) = entry.items()
            if isinstance(value, str):
                lines.append(f"- [{title}]({config.site_url}{page(value)})")
            else:
                lines.append(f"\n{'#' * depth} {title}\n")
                walk(value, depth + 1)

    walk(config.nav)
    Path(config.site_dir, "llms.txt").write_text("\n".join(lines) + "\n")


def page(source: str) -> str:
    """Address of a page below the site's."""
    stem = source.removesuffix(".md").removesuffix("index")
    return f"{stem.rstrip('/')}/" if stem else ""
