"""The words of saljax as types.

An *image* is (*spatial, channels), RGB in [0, 1] where it has three channels; its spatial rank
(1 a signal, 2 a picture, 3 a volume) is read from it and never assumed. A *score_fn* maps images
(N, *spatial, channels) to scores (N, K). A *saliency* map is (*spatial), larger is more important.
A *mask* is (*spatial) in [0, 1]; 1 keeps the pixel, 0 replaces it by the baseline.
"""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Float, Int, Num

Image = Float[Array, "*spatial channels"]
Images = Float[Array, "batch *spatial channels"]
Scores = Float[Array, "batch classes"]
Target = Int[Array, "*classes_asked"] | int
"""A class index (), or (T,) for methods that answer several classes from the same passes."""
Saliency = Float[Array, "..."]
"""(*spatial), or (T, *spatial) where T targets were asked."""
ScoreFn = Callable[[Images], Scores]
Baseline = Num[Array, "..."] | float | Callable[[Image], Num[Array, "..."]]
"""The image of no evidence: anything that broadcasts to the image, or a function of the image."""
Reduction = Callable[[Float[Array, "*spatial channels"]], Float[Array, "*spatial"]]
"""What is made of the channels of a signed map; `saljax.ops.maps` has some."""
Method = Callable[..., Any]
"""A pure function of one image, `method(score_fn, image, target, *, hyperparameters) -> saliency`.
Hyperparameters are keywords with the paper's defaults; a random method also takes `key`."""
