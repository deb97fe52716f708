"""How particles are cut into chunks: the grain of threading and of the fixed order of summation.

Sums over particles go to one row of partial sums per chunk; adding the rows in order gives the same
bits however the chunks were shared between threads. Chunks grow with the number of particles, so that
partial sums of n x n numbers stay small beside the state.
"""

from __future__ import annotations

from meanfield.kernels.jit import inner

#: Fewest particles per chunk.
CHUNK = 8 * 248
#: Most chunks.
CHUNKS = 64
#: Most particles per block: a few rows of this many doubles stay in the first-level cache.
BLOCK = 248
#: Most numbers of a block's rows for all samples together (32 MB).
_ENTRIES = 1 << 22


def _length(size: int) -> int:
    return max(CHUNK, -(-size // (CHUNKS * BLOCK)) * BLOCK)


#: Particles per chunk, for kernels.
chunk_length = inner(_length)


def _per_block(n: int) -> int:
    """Particles per block for n samples: fewer where n rows of a block would be too many numbers."""
    return max(8, min(BLOCK, _ENTRIES // max(n, 1)))


#: Particles per block for n samples, for kernels.
block_length = inner(_per_block)


def chunk_count(size: int) -> int:
    """Number of chunks of this many particles.

    Parameters
    ----------
    size : int
        Number of particles.

    Returns
    -------
    int
    """
    return -(-size // int(_length(size)))
