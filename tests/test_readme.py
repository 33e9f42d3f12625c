"""The README's first example does what its comments say."""

import pathlib
import re


def test_first_python_example_runs():
    readme = (pathlib.Path(__file__).parents[1] / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert code is not None
    names = {}
    exec(code[1], names)
    assert names["images"].shape == (4, 96, 96, 3)
    assert names["maps"].shape == (4, 96, 96)
    assert names["both"].shape == (1, 2, 96, 96)
