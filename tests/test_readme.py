"""The README's examples do what it says; two of them need photographs and weights of their own."""

import pathlib
import re

import jax.numpy as jnp

import saljax


def blocks():
    readme = (pathlib.Path(__file__).parents[1] / "README.md").read_text()
    found = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    needs_files = ("photo.jpg", "resnet50.safetensors")
    return [code for code in found if not any(name in code for name in needs_files)]


def test_python_examples_run(tmp_path, monkeypatch):
    first, devices, layers, learned, captions = blocks()
    names = {}
    exec(first, names)
    assert names["images"].shape == (4, 96, 96, 3)
    assert names["maps"].shape == (4, 96, 96)
    assert names["both"].shape == (1, 2, 96, 96)

    said = []
    exec(layers, names | {"print": said.append})
    assert "relu:0" in said[0][2].others and said[0][-1].name == "block4"

    monkeypatch.chdir(tmp_path)
    exec(learned, names)
    assert names["maps"].shape == (4, 96, 96)
    assert callable(saljax.load_explainer("dre.safetensors"))

    for name in ("images", "targets"):  # one for each of the eight devices
        names[name] = jnp.repeat(jnp.asarray(names[name]), 2, axis=0)
    exec(devices, names)
    assert names["maps"].shape == (8, 96, 96)
    assert len(names["maps"].sharding.device_set) == 8

    said = []
    exec(captions, names | {"print": said.append})
    assert said == [["a red crowned bird against sky"]]
