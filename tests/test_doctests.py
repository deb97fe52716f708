"""Every example in a docstring runs, warnings being errors."""

import doctest
import importlib
import pkgutil
import warnings

import numpy as np
import pytest

import meanfield

MODULES = sorted(
    {
        "meanfield",
        *(
            info.name
            for info in pkgutil.walk_packages(meanfield.__path__, "meanfield.")
            if not info.name.endswith("__main__")
        ),
    }
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an example that writes a file leaves nothing behind
    module = importlib.import_module(name)
    with warnings.catch_warnings(), np.printoptions():
        warnings.simplefilter("error")
        result = doctest.testmod(module)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples of {name} fail"


def test_examples_are_found():
    """The walk reaches the modules, and they have examples."""
    finder = doctest.DocTestFinder()
    examples = [
        test for test in finder.find(importlib.import_module("meanfield.datasets.synthetic")) if test.examples
    ]
    assert {test.name.rpartition(".")[2] for test in examples} == {
        "four_points",
        "function_1d",
        "circle",
        "teacher",
    }
