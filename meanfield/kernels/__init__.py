"""Numba kernels: plain arrays in, plain arrays out, no checks.

The floors above validate and call these; use them directly if you want only speed. Every kernel's
docstring states shapes and cost, and tests/naive.py holds its obvious twin.
"""

from meanfield.kernels.dense import (
    BLOCK,
    CHUNK,
    ON_KINK,
    combination_norms,
    combine,
    distance,
    gram,
    observe,
    output,
    pullback,
    tangent,
)
from meanfield.kernels.motion import kink_gram, move
from meanfield.kernels.threads import ChunkCall, chunk_count, get_threads, run_chunks, set_threads

__all__ = [
    "BLOCK",
    "CHUNK",
    "ON_KINK",
    "ChunkCall",
    "chunk_count",
    "combination_norms",
    "combine",
    "distance",
    "get_threads",
    "gram",
    "kink_gram",
    "move",
    "observe",
    "output",
    "pullback",
    "run_chunks",
    "set_threads",
    "tangent",
]
