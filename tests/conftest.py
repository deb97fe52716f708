"""Settings shared by all tests."""

from hypothesis import settings

# The same examples on every run: a test that fails for someone fails for everyone.
settings.register_profile("meanfield", derandomize=True, deadline=None)
# For kernels that are not compiled (.ci/coverage): pytest --hypothesis-profile=few
settings.register_profile("few", derandomize=True, deadline=None, max_examples=5)
settings.load_profile("meanfield")
