"""What is kept of a case when its block is done."""

import gc
import tracemalloc
from pathlib import Path

import numpy as np

from saljax.evaluation.blocks import Place
from saljax.evaluation.cases import Case
from saljax.evaluation.judged import Judged, done

ROWS, METRICS = 6, 10
RECORD = {
    "image": "a.jpg",
    "prediction": [{"class": "goldfinch", "index": i, "probability": 0.2} for i in range(5)],
    "boxes": [[1.0, 2.0, 3.0, 4.0]],
    "small": None,
}


def judged(at, values, seconds=None, maps=None):
    case = Case(str(at), Path(f"{at}.jpg"), 0, None, None)
    return Judged(case, RECORD | {"image": f"{at}.jpg"}, maps or {}, values, seconds or {})


def test_all_that_is_asked_for_later_is_there():
    third = 1 / 3
    first = {
        "rise": {
            "insertion": {"key": "k", "value": {"area": 0.5, "curve": [0.0, third]}},
            "mass": {"key": "k", "value": third},
            "failed": {"key": "k", "value": None},
        }
    }
    second = {
        "rise": {
            "insertion": {"key": "k", "value": {"area": None, "curve": None}},
            "mass": {"key": "k", "value": 0.25},
        },
        "glas": {"mass": {"key": "k", "value": 1.0}},
    }
    place = Place(Path("blocks/0.npz"), 7)
    one, two, three = done(
        [judged(0, first, {"rise": 0.5}), judged(1, second, maps={"rise": place}), judged(2, {})]
    )
    assert one.record == RECORD | {"image": "0.jpg"} and two.case.name == "1" and one.is_explained
    insertion = one.value("rise", "insertion")
    assert insertion["area"] == 0.5 and insertion["curve"].tolist() == [0.0, third]
    assert one.value("rise", "mass") == third and one.value("rise", "failed") is None
    assert two.value("rise", "insertion") == {"area": None, "curve": None}
    assert two.value("glas", "mass") == 1.0 and one.value("glas", "mass") is None
    assert three.value("rise", "mass") is None and one.value("nothing", "mass") is None
    assert one.seconds("rise") == 0.5 and two.seconds("rise") is two.seconds("glas") is None
    assert two.map("rise") == place and one.map("rise") is one.map("glas") is None
    assert not done([judged(0, {})])[0].is_explained


def test_a_case_is_kept_in_two_kilobytes():
    """Of six methods and ten metrics; while in work it was twenty."""

    def block():
        rng = np.random.default_rng(0)
        values = [
            {
                f"row{r}": {f"metric{m}": {"key": f"{i}{r}{m}" * 4, "value": float(rng.random())}
                            for m in range(METRICS)}
                for r in range(ROWS)
            }
            for i in range(64)
        ]  # fmt: skip
        return [judged(i, one) for i, one in enumerate(values)]

    tracemalloc.start()
    in_work = block()
    before, kept = tracemalloc.get_traced_memory()[0], done(in_work)
    cases = [one.case for one in in_work]
    del in_work
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(kept) == len(cases) == 64
    assert before / 64 > 15_000 and after / 64 < 2_500
