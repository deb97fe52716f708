"""Settings shared by all tests."""

from hypothesis import settings

# The same examples on every run: a test that fails for someone fails for everyone.
settings.register_profile("meanfield", derandomize=True, deadline=None)
settings.load_profile("meanfield")
