r"""Methods by metrics on real photographs, as LATEC lays them out: values and ranks.

    python experiments/benchmark_photographs.py --weights resnet18.safetensors --out out/benchmark

`saljax evaluate` on the annotated photographs of `../shared/real`, the predicted class explained,
with metrics of every kind: faithfulness, robustness, complexity, localization. Few passes for each,
for a machine without a GPU. --dre and --masking-model take explainers that were trained for these
weights (learned_photographs.md). Results: results/benchmark_photographs.md.
"""

import argparse
import json
from pathlib import Path

from agreement_with_peers import PHOTOS
from metrics_against_truth import evaluated, table

METHODS = (
    "gradient,input_x_gradient,smoothgrad,integrated_gradients,guided_backprop,lrp,grad_cam,"
    "grad_cam_plus_plus,layer_cam,excitation_backprop,occlusion"
)
METRICS = (
    "faithfulness", "insertion_deletion", "road", "irof", "average_drop", "score_drop",
    "pixel_flipping", "faithfulness_correlation", "infidelity", "sensitivity",
    "sparseness", "complexity", "pointing_game", "explainability", "relevance_mass",
    "relevance_rank", "localization_auc",
)  # fmt: skip
SETTINGS = {
    "smoothgrad": {"num_samples": 10},
    "integrated_gradients": {"num_steps": 10},
    "excitation_backprop": {"layer": "layer3"},
    "occlusion": {"window": 48, "stride": 28},
    "faithfulness": {"num_steps": 8},
    "insertion_deletion": {"step": 28 * 224},
    "road": {"shares": "0.2,0.5,0.8"},
    "irof": {"grid": 4},
    "pixel_flipping": {"num_steps": 8, "tile": 4},
    "faithfulness_correlation": {"num_samples": 16},
    "infidelity": {"num_samples": 16},
    "sensitivity": {"num_samples": 1},
}


def main(weights, out, number, learned, metrics):
    methods, left_out = METHODS, set(METRICS) - set(metrics)
    settings = {name: own for name, own in SETTINGS.items() if name not in left_out}
    for name, path in learned.items():
        if path is not None:
            methods += f",{name}"
            settings[name] = {"explainer": str(path)}
    command = ["--data", str(PHOTOS / "ilsvrc"), "--boxes", str(PHOTOS / "ilsvrc_boxes.json")]
    command += ["--model", "resnet18", "--weights", str(weights), "--target", "top-1"]
    found = evaluated(out, number, methods, metrics, settings, [*command, "--pictures", "0"])
    print(f"\n{number} photographs, {len(found.methods)} methods\n")
    table(found.columns, found.methods, ("center", "random"))
    entries = json.loads((out / "table.json").read_text())["table"]
    entries = [e for e in entries if e["column"] == "mean rank" and e["subset"] == "all"]
    print("\n| method | mean rank |\n|---|---|")
    for entry in sorted(entries, key=lambda entry: entry["mean"] or 99):
        if entry["mean"] is not None:
            print(f"| {entry['row']} | {entry['mean']:.1f} ± {entry['standard_error']:.1f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Methods by metrics on real photographs.")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("out/benchmark"))
    parser.add_argument("--number", type=int, default=15)
    parser.add_argument("--dre", type=Path)
    parser.add_argument("--masking-model", type=Path)
    parser.add_argument("--metrics", nargs="+", default=list(METRICS), choices=METRICS)
    options = parser.parse_args()
    explainers = {"dre": options.dre, "masking_model": options.masking_model}
    main(options.weights, options.out, options.number, explainers, options.metrics)
