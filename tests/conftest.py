"""Settings shared by all tests."""

import sys

import pytest
from hypothesis import settings

# The same examples on every run: a test that fails for someone fails for everyone.
settings.register_profile("meanfield", derandomize=True, deadline=None)
# For kernels that are not compiled (.ci/coverage): pytest --hypothesis-profile=few
settings.register_profile("few", derandomize=True, deadline=None, max_examples=5)
settings.load_profile("meanfield")


@pytest.fixture(autouse=True)
def figures_are_closed():
    """What a test draws is closed after it: pyplot keeps figures, and warns of many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
