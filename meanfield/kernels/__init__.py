"""Numba kernels: plain arrays in, plain arrays out, no checks.

The floors above validate and call these; use them directly if you want only speed. Every kernel's
docstring states shapes and cost, and tests/naive.py holds its obvious twin. The kernels of the
submodule ``planar`` are for samples that span a plane, in O(N + n); the others take any dimension.
"""

from meanfield.kernels import planar, planar_motion
from meanfield.kernels.blocks import ON_KINK
from meanfield.kernels.chunks import BLOCK, CHUNK, chunk_count
from meanfield.kernels.dense import (
    combination_norms,
    combine,
    gram,
    observe,
    output,
    pullback,
    tangent,
)
from meanfield.kernels.kinks import Samples, as_samples
from meanfield.kernels.motion import move
from meanfield.kernels.motion_gram import motion_gram, motion_gram_product
from meanfield.kernels.phi import phi_functions
from meanfield.kernels.threads import (
    ChunkCall,
    OutOfTime,
    get_threads,
    one_blas_thread,
    run_chunks,
    set_threads,
    until,
)

__all__ = [
    "BLOCK",
    "CHUNK",
    "ON_KINK",
    "ChunkCall",
    "OutOfTime",
    "Samples",
    "as_samples",
    "chunk_count",
    "combination_norms",
    "combine",
    "get_threads",
    "gram",
    "motion_gram",
    "motion_gram_product",
    "move",
    "observe",
    "one_blas_thread",
    "output",
    "phi_functions",
    "planar",
    "planar_motion",
    "pullback",
    "run_chunks",
    "set_threads",
    "tangent",
    "until",
]


def __dir__() -> list[str]:
    return sorted(__all__)
