"""Which part of the picture made the captioner say this word?

    python experiments/captions_explained.py     # writes results/captions.jpg, prints the tables

After S1's visualization of image captioning (figure 11), on generated birds, where the evidence for
a word is known. A word is explained through its probability given the picture and the words before
it, in held-out pictures whose caption the bundled captioner gets exactly right. For each kind of
word and each method: the share of the map on the word's own evidence beside the evidence's share of
the picture (what an even map gives); how often the map's maximum is there; and, of two species,
how much lies on the right one's part. GLAS makes the maps of all words of a caption from the
same passes; the others go back once a word.
"""

import argparse
import functools
import io
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

import saljax
from saljax.data import birdlets, captions
from saljax.data.generated.captions import VOCABULARY
from saljax.models.captions import caption_probabilities, describe, load, word_scores
from saljax.report import grids

RESULTS = Path(__file__).parent / "results"
SEED = 77
HELD_OUT = 1000
NEAR = 4
"""Pixels within which a maximum counts as on a part, as in glas_on_birdlets; our choice."""
SHOWN = {11: (1, 2, 6, 7, 10), 7: (1, 2, 3, 4, 5), 3: (0, 1, 2, 3, 5)}
"""Pictures of the figure -> places of the words; all methods of `ROWS` for the first."""
ROWS = ("GLAS, sigma 1", "Grad-CAM", "contrastive excitation backprop", "guided backprop")


def fine(sigma: float) -> functools.partial:
    return functools.partial(
        saljax.glas, sigma_light=sigma, sigma_shadow=sigma, sigma_spatial=sigma, chunk_size=64
    )


GLAS = {"GLAS, sigma 1": fine(1.0), "GLAS, sigma 3": fine(3.0)}
INSIDE = {
    "Grad-CAM": saljax.grad_cam,
    "gradient": saljax.gradient,
    "guided backprop": saljax.guided_backprop,
    "excitation backprop": saljax.excitation_backprop,
    "contrastive excitation backprop": saljax.contrastive_excitation_backprop,
}
KINDS = {
    **dict.fromkeys(captions.NUMBERS, "number"),
    **dict.fromkeys(captions.COLORS, "color"),
    **dict.fromkeys(captions.PARTS, "part"),
    **{"a": "a", "an": "an", "above": "above", "bird": "bird", "birds": "birds"},
    "against": "against",
}
"""Word -> kind; all others are backgrounds."""


class Found(NamedTuple):
    """What one map says of one word."""

    kind: str
    share: float
    area: float
    pointed: bool
    chance: float
    own: float | None


def maps_of(captioner, drawn: captions.Captioned) -> dict[str, np.ndarray]:
    """Method -> maps (words, H, W) of all words of a caption."""
    image, places = drawn.image[None], list(range(len(drawn.words)))
    whole = caption_probabilities(captioner, drawn.text)
    out = {
        name: np.asarray(saljax.explain(method, whole, image, [places])[0])
        for name, method in GLAS.items()
    }
    for name, method in INSIDE.items():
        out[name] = np.stack(
            [
                saljax.explain(
                    method,
                    word_scores(captioner, " ".join(drawn.words[:place])),
                    image,
                    [VOCABULARY.index(drawn.words[place])],
                )[0]
                for place in places
            ]
        )
    return out


def judge(saliency: np.ndarray, drawn: captions.Captioned, word: str, evidence) -> Found:
    kind = KINDS.get(word, "background")
    peak = np.unravel_index(saliency.argmax(), saliency.shape)
    near = within(evidence, NEAR) if kind in ("an", "color", "part") else evidence
    own = None
    if len(drawn.birds) == 2 and kind in ("an", "color", "part"):
        parts = sum(bird.diagnostic_mask for bird in drawn.birds)
        own = saliency[evidence].sum() / max(saliency[parts > 0].sum(), 1e-30)
    share = saliency[evidence].sum() / max(saliency.sum(), 1e-30)
    return Found(kind, share, evidence.mean(), bool(near[peak]), near.mean(), own)


def within(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Where the nearest pixel of the mask is that near."""
    points = np.argwhere(np.ones_like(mask))[:, None] - np.argwhere(mask)[None]
    return (np.hypot(*points.T).min(axis=0) <= pixels).reshape(mask.shape)


def hidden(drawn: captions.Captioned, word: str, evidence) -> np.ndarray:
    """The picture without a word's evidence: neutral parts, no birds, or no background."""
    kind, image = KINDS.get(word, "background"), drawn.image
    if kind in ("number", "above", "background"):
        birds = kind != "background"
        color = np.median(image[~evidence], axis=0) if birds else np.full(3, 0.5)
        return np.where(evidence[..., None], color, image).astype(np.float32)
    for bird in drawn.birds:
        if bird.diagnostic_mask[evidence].any():
            part = bird.part_masks[bird.diagnostic_part]
            image = birdlets.repaint(image, part, bird.neutral)
    return image


def elsewhere(drawn: captions.Captioned, evidence) -> np.ndarray:
    """The picture with as much repainted on the same birds, but not the evidence."""
    image = drawn.image
    for number, bird in enumerate(drawn.birds):
        if bird.diagnostic_mask[evidence].any():
            image = birdlets.repaint(image, birdlets.elsewhere(bird, number), bird.neutral)
    return image


def mean(values, digits: int = 3) -> str:
    """Mean and its standard error."""
    values = np.asarray(values, float)
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():.{digits}f} ± {error:.{digits}f}"


def probabilities_of_words(captioner, drawn_all) -> list[str]:
    """How the probability of a word hangs on the picture, kind by kind."""
    score = jax.jit(lambda score_fn, images: score_fn(images))
    rows = defaultdict(list)
    for drawn in drawn_all:
        score_fn = caption_probabilities(captioner, drawn.text)
        clean, black = np.asarray(
            score(score_fn, jnp.stack([drawn.image, jnp.zeros_like(drawn.image)]))
        )
        for place, (word, evidence) in enumerate(zip(drawn.words, drawn.evidence, strict=True)):
            kind = KINDS.get(word, "background")
            if kind == "a":
                kind = '"a", first' if place == 0 else '"a", second'
            if kind == "color" and evidence is None:
                kind = 'color, after "an"'
            values = [clean[place], black[place], np.nan, np.nan]
            if evidence is not None:
                changed = [hidden(drawn, word, evidence), elsewhere(drawn, evidence)]
                without, apart = np.asarray(score(score_fn, jnp.stack(changed)))[:, place]
                parts = kind in ("an", "color", "part")
                values[2:] = [without, apart if parts else np.nan]
            rows[kind].append(values)
    lines = [
        "| word | times | the picture | black | its evidence hidden | as much elsewhere |",
        "|---|---|---|---|---|---|",
    ]
    for kind, values in rows.items():
        cells = [mean(v) if not np.isnan(v).any() else "" for v in zip(*values, strict=True)]
        lines.append(f"| {kind} | {len(values)} | {' | '.join(cells)} |")
    return lines


def table(found: dict[str, list[Found]]) -> list[str]:
    """Method by method and kind by kind, shares on the evidence and where the maximum is."""
    kinds = ("color", "part", "an", "number", "above", "background")
    first = next(iter(found.values()))
    of = {kind: [f for f in first if f.kind == kind] for kind in kinds}
    lines = [
        f"| share on the evidence | {' | '.join(f'{k} ({len(of[k])})' for k in kinds)} |",
        "|---" * (1 + len(kinds)) + "|",
        f"| an even map | {' | '.join(mean([f.area for f in of[k]]) for k in kinds)} |",
    ]
    for name, all_found in found.items():
        cells = [mean([f.share for f in all_found if f.kind == kind]) for kind in kinds]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        f"| maximum on the evidence | {' | '.join(kinds)} | two species: own part, of both |",
        "|---" * (2 + len(kinds)) + "|",
    ]
    cells = [mean([f.chance for f in of[kind]], 2) for kind in kinds]
    lines.append(f"| anywhere | {' | '.join(cells)} | |")
    for name, all_found in found.items():
        cells = [mean([f.pointed for f in all_found if f.kind == kind], 2) for kind in kinds]
        own = mean([f.own for f in all_found if f.own is not None])
        lines.append(f"| {name} | {' | '.join(cells)} | {own} |")
    return lines


def picture(captioner) -> bytes:
    """Rows of maps, one column a word."""
    rows = []
    for index, places in SHOWN.items():
        drawn = captions.sample(SEED, index)
        score_fn = caption_probabilities(captioner, drawn.text)
        both = np.asarray(score_fn(jnp.stack([drawn.image, jnp.zeros_like(drawn.image)])))
        maps = maps_of(captioner, drawn)
        for name in ROWS[: 2 if rows else None]:
            panels = [
                grids.Panel(
                    drawn.image,
                    maps[name][place],
                    f"{drawn.words[place]}  {both[0, place]:.2f}   (black: {both[1, place]:.2f})",
                    outline=drawn.evidence[place],
                )
                for place in places
            ]
            first = grids.Panel(drawn.image, None, "picture")
            rows.append(grids.Row(f"{name}: {drawn.text}", "", (first, *panels)))
    whole = Image.open(io.BytesIO(grids.png(grids.grid(rows)))).convert("RGB")
    whole = whole.resize((1400, round(1400 * whole.height / whole.width)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    whole.save(buffer, "JPEG", quality=56)
    return buffer.getvalue()


def main():
    parser = argparse.ArgumentParser(description="Explain the words of captions.")
    parser.add_argument("--number", type=int, default=100, help="pictures that are explained")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    captioner = load()
    (args.out / "captions.jpg").write_bytes(picture(captioner))

    many = [captions.sample(SEED, index) for index in range(HELD_OUT)]
    said = [
        text
        for i in range(0, HELD_OUT, 100)
        for text in describe(captioner, jnp.stack([d.image for d in many[i : i + 100]]))
    ]
    right = [text == drawn.text for text, drawn in zip(said, many, strict=True)]
    kept = [d for d, r in zip(many[: args.number], right[: args.number], strict=True) if r]
    found = defaultdict(list)
    for drawn in kept:
        for name, saliency in maps_of(captioner, drawn).items():
            found[name] += [
                judge(one, drawn, word, evidence)
                for one, word, evidence in zip(saliency, drawn.words, drawn.evidence, strict=True)
                if evidence is not None
            ]
    lines = [
        f"exact captions of {HELD_OUT}: {mean(right)}",
        "",
        f"{len(kept)} of {args.number}",
        "",
        *probabilities_of_words(captioner, kept),
        "",
        *table(found),
    ]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
