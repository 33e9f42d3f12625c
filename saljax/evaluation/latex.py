"""A table for papers: LaTeX with booktabs."""

from saljax.evaluation.tables import SUBSETS, Cell, Table, lines

_ESCAPED = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"↑": r"$\uparrow$", "↓": r"$\downarrow$", "–": "--"}
    | {">": r"\textgreater{}", "<": r"\textless{}"}
)
_MARKS = {"best": r"\textbf{%s}", "like the best": r"\textit{%s}", "": "%s"}


def latex(title: str, table: Table) -> str:
    r"""One `table` for each group of metrics and subset of images.

    Args:
        title: of the captions.
        table: the numbers.

    Returns:
        A file to be read by `\input`; needs `\usepackage{booktabs}`.
    """
    parts = ["% needs \\usepackage{booktabs}; bold: the best, italic: not different from it"]
    for subset, size in table.sizes.items():
        for group, columns in table.groups.items():
            head, *rows = (
                [_shown(cell) for cell in line] for line in lines(table, subset, columns)
            )
            caption = f"{title}, {SUBSETS[subset].lower()} ({size}): {group.lower()}."
            parts.append(
                "\n".join(
                    [
                        r"\begin{table}",
                        r"\centering",
                        rf"\caption{{{caption.translate(_ESCAPED)}}}",
                        rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
                        r"\toprule",
                        " & ".join(head) + r" \\",
                        r"\midrule",
                        *(" & ".join(row) + r" \\" for row in rows),
                        r"\bottomrule",
                        r"\end{tabular}",
                        r"\end{table}",
                    ]
                )
            )
    return "\n\n".join(parts) + "\n"


def _shown(cell: Cell) -> str:
    mean = _MARKS[cell.mark] % cell.mean.translate(_ESCAPED)
    error = rf" {{\scriptsize$\pm$ {cell.error}}}" if cell.error else ""
    return mean + error + (f" ($n = {cell.images}$)" if cell.images is not None else "")
