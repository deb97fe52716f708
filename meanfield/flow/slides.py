"""Neurons on kinks, as smooth steps see them: those that slide, those that stand still, and whether that lasts.

While neurons slide on the same kinks and cross no others the flow is smooth: q moves with what its kinks leave
of the pullback. A slide on kinks S holds while both sides of each push the neuron back. The convex combination
of the sides (Filippov) that keeps it there,

    (G + sum_{i in S} lambda_i e_i x_i) . x_j = 0 for all j in S,

has then 0 < lambda_i < 1, and p e_i > 0; G is the gradient on the inactive sides and e_i the residual of the
kink (see :mod:`meanfield.kernels.kinks`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanfield import kernels
from meanfield.flow.rest import AT_ORIGIN, is_active
from meanfield.flow.system import CanonicalSystem
from meanfield.flow.tangent import Array

#: Most neurons on kinks that are looked at.
_MOST = 100
#: Kinks that are dependent up to this share of their length cannot be slid on together.
_DEPENDENT = 1e-5
#: Entries of a block of pre-activations held at a time.
_BLOCK = 1 << 20


class Slide(NamedTuple):
    """A neuron and the directions, orthonormal columns (r, k), in which its q does not move."""

    neuron: int
    held: Array


class _Kinks(NamedTuple):
    """A block of neurons: pre-activations z (n, block), and on which kinks they are."""

    z: Array
    here: NDArray[np.bool_]


class Slides:
    """Finds and compares slides.

    Parameters
    ----------
    system : CanonicalSystem
        The system.
    """

    def __init__(self, system: CanonicalSystem) -> None:
        self.system = system
        self._lengths = np.linalg.norm(system.x, axis=1)
        self._block = max(1, _BLOCK // system.n)

    def at(self, theta: Array, e: Array) -> list[Slide] | None:
        """All neurons on kinks under a residual e; None if some neither slides nor stands still."""
        samples, slides = self.system.samples, list[Slide]()
        jump = np.bincount(samples.leader, e * self._lengths, minlength=len(e)) / self._lengths
        for start in range(0, theta.shape[1], self._block):
            part = theta[:, start : start + self._block]
            if self._rests_at_origin(part):
                return None
            z, here = self._kinks(part)
            found = np.flatnonzero(here.any(axis=0))
            if len(slides) + found.size > _MOST:
                return None
            for k in found:
                active = np.where(here[:, k], ~samples.same, z[:, k] > 0.0)
                kinks = np.unique(samples.leader[here[:, k]])
                held = self._held(float(part[0, k]), e @ (self.system.x * active[:, None]), jump, kinks)
                if not active.any():  # dead there: it stays
                    held = np.eye(len(part) - 1)
                if held is None:
                    return None
                slides.append(Slide(start + int(k), held))
        return slides

    def last(self, theta: Array, new: Array) -> bool:
        """Whether all neurons are on the same kinks, and beside the others on the same sides, in both states."""
        for start in range(0, theta.shape[1], self._block):
            z, here = self._kinks(theta[:, start : start + self._block])
            z_new, here_new = self._kinks(new[:, start : start + self._block])
            if np.any(here != here_new) or np.any(((z > 0.0) != (z_new > 0.0)) & ~here):
                return False
        return True

    def _kinks(self, theta: Array) -> _Kinks:
        z = self.system.x @ theta[1:]
        edge = kernels.ON_KINK * self._lengths[:, None] * np.linalg.norm(theta[1:], axis=0)
        return _Kinks(z, np.abs(z) <= edge)

    def _rests_at_origin(self, theta: Array) -> bool:
        """Whether some neuron is at the origin of q and not dead there."""
        p, q = theta[0], theta[1:]
        size = np.linalg.norm(q, axis=0)
        there = (size <= AT_ORIGIN * np.abs(p)) & (size > 0.0)
        return bool(there.any() and is_active(q[:, there], size[there], self.system.x).any())

    def _held(self, p: float, G: Array, jump: Array, kinks: NDArray[np.intp]) -> Array | None:
        """Orthonormal basis (r, k) of the kinks if a neuron slides on all of them, else None."""
        x, e = self.system.x[kinks], jump[kinks]
        if len(kinks) >= x.shape[1] or np.any(p * e <= 0.0):
            return None
        basis, R = np.linalg.qr(x.T)
        if np.any(np.abs(np.diag(R)) <= _DEPENDENT * self._lengths[kinks]):
            return None
        # basis R = x', so x x' pulls = -x G is R pulls = -basis' G.
        share = np.linalg.solve(R, -basis.T @ G) / e
        return basis if np.all((share > 0.0) & (share < 1.0)) else None
