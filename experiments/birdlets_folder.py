"""Write generated birds as pictures, one folder a species: something to try `saljax train` on.

    python experiments/birdlets_folder.py /tmp/birdlets            # 10 species of 60 pictures
    saljax train classifier --data /tmp/birdlets --model birdlets --out /tmp/birds

`experiments/results/training.md` has what comes of it.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from saljax.data import birdlets

SEED = 77


def main():
    parser = argparse.ArgumentParser(description="Write generated birds, one folder a species.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--species", type=int, default=10, choices=range(2, 15), metavar="2..14")
    parser.add_argument("--each", type=int, default=60, help="pictures of each")
    args = parser.parse_args()
    for label, name in enumerate(birdlets.SPECIES[: args.species]):
        (args.folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(args.each):
            image = birdlets.sample(SEED, label * args.each + number, species=label).image
            picture = Image.fromarray(np.round(image * 255).astype(np.uint8))
            picture.save(args.folder / name / f"{number:04}.png")
    print(f"{args.species * args.each} pictures in {args.folder}")


if __name__ == "__main__":
    main()
