r"""All methods on real photographs: pointing games, M_F, M_E, insertion, deletion, localization.

    python experiments/real_photographs.py --weights resnet18.safetensors --out out/real
    python experiments/real_photographs.py ... --methods all --number 20

Runs `saljax evaluate` on the annotated photographs of `../shared/real` and prints its table with a
line a method. Everything computed stays in --out, so the run can be stopped and given again, with
more photographs or methods too. `SETTINGS` are fewer passes than the papers', for a machine without
a GPU; what is not there has the papers' defaults. Results: results/real_photographs.md.
"""

import argparse
import json
from pathlib import Path

from saljax import cli
from saljax.methods.table import METHODS

PHOTOS = Path(__file__).parents[2] / "shared" / "real" / "photos"
SETTINGS = {
    "glas": {"grid": 10},
    "rglas": {"grid": 10, "max_iterations": 2},
    "occlusion": {"stride": 16},
    "blur_occlusion": {"stride": 16},
    "variable_occlusion": {"num_masks": 200},
    "rise": {"num_masks": 400},
    "lime": {"num_samples": 300},
    "smoothgrad": {"num_samples": 20},
    "integrated_gradients": {"num_steps": 20},
    "excitation_backprop": {"layer": "layer3"},
    "contrastive_excitation_backprop": {"layer": "layer3"},
    "meaningful_perturbation": {"num_steps": 100},
    "meaningful_perturbation_at_layer": {"num_steps": 100},
    "extremal_perturbation": {"num_steps": 150},
    "dynamic_masks": {"num_steps": 25, "learning_rate": 0.2},
    "hierarchical_dynamic_masks": {
        "num_steps": 15, "learning_rate": 0.3, "num_weight_steps": 15,
    },
    "insertion_deletion": {"step": 28 * 224},
    "faithfulness": {"num_steps": 8},
}  # fmt: skip
DEAR = {
    "rglas", "blur_occlusion", "variable_occlusion", "rise", "lime", "meaningful_perturbation",
    "extremal_perturbation", "dynamic_masks", "hierarchical_dynamic_masks", "feature_inversion",
}  # fmt: skip
"""Those that take 5 to 25 seconds a photograph here."""
COLUMNS = (
    ("all", "pointing game (GLAS)"), ("small", "pointing game (GLAS)"), ("all", "pointing game"),
    ("small", "pointing game"), ("all", "faithfulness, 0..100"), ("all", "faithfulness, relative"),
    ("all", "explainability, 0..100"), ("all", "insertion"), ("all", "deletion"),
    ("all", "localization error, energy"), ("all", "IoU, map >= 0.5"),
)  # fmt: skip


def command(options, methods):
    words = ["evaluate", "--data", str(PHOTOS / "ilsvrc"), "--model", options.model]
    words += ["--boxes", str(PHOTOS / "ilsvrc_boxes.json"), "--weights", str(options.weights)]
    words += ["--number", str(options.number), "--methods", ",".join(methods)]
    for name, settings in SETTINGS.items():
        if name in methods or name not in METHODS:
            for key, value in settings.items():
                words += ["--set", f"{name}.{key}={value}"]
    return [*words, "--out", str(options.out), "--pictures", "6"]


def number(entry) -> str:
    if entry is None or entry["mean"] is None:
        return "–"
    digits = 1 if entry["column"].startswith(("faithfulness", "explainability")) else 3
    error = entry["standard_error"]
    return f"{entry['mean']:.{digits}f}" + (f" ± {error:.{digits}f}" if error is not None else "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="All methods on real photographs.")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--number", type=int, default=100)
    parser.add_argument("--methods", choices=["cheap", "all"], default="cheap")
    parser.add_argument("--out", type=Path, default=Path("out/real"))
    options = parser.parse_args()

    alone = [name for name, known in METHODS.items() if not known.learned]
    chosen = [name for name in alone if options.methods == "all" or name not in DEAR]
    cli.main(command(options, chosen))
    found = json.loads((options.out / "table.json").read_text())
    entries = {(e["subset"], e["column"], e["row"]): e for e in found["table"]}
    sizes = {s: max(e["images"] for e in found["table"] if e["subset"] == s) for s, _ in COLUMNS}
    print(
        "\n" + ", ".join(f"{subset}: {size} photographs" for subset, size in sizes.items()) + "\n"
    )
    names = [column if subset == "all" else f"{column}, small" for subset, column in COLUMNS]
    print(f"| method | {' | '.join(names)} | s a map |\n|{'---|' * (len(COLUMNS) + 2)}")
    for row, seconds in found["seconds"].items():
        cells = [number(entries.get((subset, column, row))) for subset, column in COLUMNS]
        time = "–" if seconds is None else f"{seconds:.2g}"
        print(f"| {row} | {' | '.join(cells)} | {time} |")
