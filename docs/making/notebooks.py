"""Run notebooks and keep them with their outputs.

    make notebooks        # or: python docs/making/notebooks.py [NAME ...]

Writes build/notebooks/NAME.ipynb.
"""

import sys
from pathlib import Path

import jupytext
import nbclient

ROOT = Path(__file__).parents[2]


def main(names: list[str]) -> None:
    """Run these notebooks, or all."""
    out = ROOT / "build" / "notebooks"
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted((ROOT / "notebooks").glob("*.py")):
        if names and path.stem not in names:
            continue
        notebook = jupytext.read(path)
        nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
        target = out / f"{path.stem}.ipynb"
        jupytext.write(notebook, target)
        sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
