"""The table of methods against the methods themselves."""

import ast
import inspect
import re

import saljax
from saljax.methods.table import METHODS
from saljax.runs.hyperparameters import hyperparameters

NOT_BY_NAME = {"glas_regions", "information_bottleneck"}
"""They need an atlas, or statistics of many images, arrays that no command line can spell."""


def public_methods():
    for name in dir(saljax):
        value = getattr(saljax, name)
        if inspect.isfunction(value) and value.__module__.startswith("saljax.methods."):
            yield name, value


def test_every_public_method_is_in_the_table_under_its_name():
    table = {name: known.function for name, known in METHODS.items()}
    assert dict(public_methods()) == table | {n: getattr(saljax, n) for n in NOT_BY_NAME}


def test_records_agree_with_signatures():
    for name, known in METHODS.items():
        parameters = inspect.signature(known.function).parameters
        assert list(parameters)[:3] == ["score_fn", "image", "target"]
        assert ("layer" in parameters) >= known.at_layer, name
        assert known.paper and known.explains in ("logits", "probabilities")


def test_what_follows_the_size_of_the_image_is_none_by_default():
    for known in METHODS.values():
        parameters = inspect.signature(known.function).parameters
        for name in known.defaults_for((20, 30)) if known.defaults_for else ():
            assert parameters[name].default is None


WITH_EXAMPLES = {
    "glas", "rise", "occlusion", "lime", "gradient", "smoothgrad", "integrated_gradients",
    "grad_cam", "lrp", "extremal_perturbation",
}  # fmt: skip


def test_examples_call_what_they_stand_in():
    """As it can be called: by its name, with keywords that it has and words that it takes."""
    found = set()
    for name, function in public_methods():
        for line in re.findall(rf"^ +(saljax\.{name}\(.*)$", function.__doc__, re.MULTILINE):
            call = ast.parse(line.strip(), mode="eval").body
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            positional = [ast.unparse(argument) for argument in call.args]
            assert positional == ["score_fn", "image", "target"]
            inspect.signature(function).bind(*positional, **keywords)
            for h in hyperparameters(function):
                if h.choices and h.name in keywords:
                    assert ast.literal_eval(keywords[h.name]) in h.choices
            found.add(name)
    assert found >= WITH_EXAMPLES
