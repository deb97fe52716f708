"""Neurons on kinks, as smooth steps see them: those that slide, those that stand still, and for how long.

While neurons slide on the same kinks and cross no others the flow is smooth: q moves with what its kinks
leave of the pullback. A slide on kinks S holds while both sides of each push the neuron back. The convex
combination of the sides (Filippov) that keeps it there,

    (G + sum_{i in S} lambda_i e_i x_i) . x_j = 0 for all j in S,

has then 0 < lambda_i < 1, and p e_i > 0; G is the gradient on the inactive sides and e_i the residual of the
kink (see :mod:`meanfield.kernels.kinks`). With lambda_i >= 1 the neuron leaves on the active side, with
lambda_i <= 0 on the inactive one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanfield import kernels
from meanfield.flow.method import EventCounts
from meanfield.flow.rest import AT_ORIGIN, is_active
from meanfield.flow.system import ReluSystem
from meanfield.flow.tangent import Array

#: Most neurons on kinks that are looked at.
_MOST = 100
#: Kinks that are dependent up to this share of their length cannot be slid on together.
_DEPENDENT = 1e-5
#: A neuron is near a kink if |q.x| is below this share of |q||x|.
_NEAR = 1e-3
#: Distance from a kink, as a share of |q|, at which a neuron begins that leaves it.
_BESIDE = 4.0 * kernels.ON_KINK
#: Entries of a block of pre-activations held at a time.
_BLOCK = 1 << 20


class Slide(NamedTuple):
    """A neuron on kinks, or near some, and what it does until it meets another.

    ``active`` (n,) is its pattern. ``held``, orthonormal columns (r, k), are the directions in which its q
    does not move: those of the kinks slid on. ``leaves`` (r,), times |q|, leads to the side of the kinks that
    it leaves, by hardly more than rounding; None if there are none. ``speed`` bounds n times its speed off
    them.
    """

    neuron: int
    active: NDArray[np.bool_]
    held: Array
    leaves: Array | None = None
    speed: float = 0.0


class Crossed(NamedTuple):
    """Neurons that went across kinks in a step, in which they moved as if these were further on.

    ``output`` (n,), times kappa, bounds what that changed of the outputs; ``moved`` is the norm of what it
    changed of q, to first order. ``kinks`` are the samples of the kinks, by neuron. ``first`` is the share of
    the step after which the first was met, were the motion straight; 1 if none was.
    """

    output: Array
    moved: float
    kinks: dict[int, NDArray[np.int64]]
    first: float = 1.0


class _Kinks(NamedTuple):
    """A block of neurons: pre-activations z (n, block), and on which kinks they are."""

    z: Array
    here: NDArray[np.bool_]


class Slides:
    """Finds and compares slides.

    Parameters
    ----------
    system : ReluSystem
        The system.
    """

    def __init__(self, system: ReluSystem) -> None:
        self.system = system
        self._lengths = np.linalg.norm(system.x, axis=1)
        self._block = max(1, _BLOCK // system.n)

    def at(self, theta: Array, e: Array) -> list[Slide] | None:
        """All neurons on kinks or near some, under a residual e; None if it is not clear what one does."""
        slides, none = list[Slide](), np.zeros((theta.shape[0] - 1, 0))
        jump = self._jump(e)
        for start in range(0, theta.shape[1], self._block):
            part = theta[:, start : start + self._block]
            if self._rests_at_origin(part):
                return None
            z, here = self._kinks(part)
            on_kinks = np.asarray(here.any(axis=0))
            near = np.asarray(self._kinks(part, _NEAR).here.any(axis=0))
            if len(slides) + np.count_nonzero(near) > _MOST:
                near = on_kinks
            if len(slides) + np.count_nonzero(near) > _MOST:
                return None
            for k in np.flatnonzero(near):
                slide: Slide | None = Slide(0, z[:, k] > 0.0, none)
                if on_kinks[k]:
                    slide = self._settle(part[:, k], z[:, k] > 0.0, here[:, k], e, jump)
                if slide is None:
                    return None
                slides.append(slide._replace(neuron=start + int(k)))
        return slides

    def leave(self, theta: Array, slides: list[Slide]) -> None:
        """Put neurons that leave kinks beside them, in ``theta``."""
        for slide in slides:
            if slide.leaves is not None:
                q = theta[1:, slide.neuron]
                q += float(np.linalg.norm(q)) * slide.leaves

    def overshot(self, slides: list[Slide], p: Array, h: float) -> tuple[float, float]:
        """How far neurons were held too long in a step of length h: norm, and sum times |p|; bounds."""
        which = [slide.neuron for slide in slides]
        way = h / self.system.n * np.array([slide.speed for slide in slides])
        weight = self.system.weight[which] if which else way
        return math.sqrt(float(weight @ way**2)), float(weight @ (np.abs(p[which]) * way)) if which else 0.0

    def crossed(self, theta: Array, new: Array, e: Array, h: float) -> Crossed | None:
        """Kinks that neurons went across in a step of length h; None if one left a kink that held it.

        ``e`` is the residual after the step.
        """
        output, square, first = np.zeros(self.system.n), 0.0, 1.0
        across_of = dict[int, NDArray[np.int64]]()
        pull = np.abs(e) * self._lengths / self.system.n
        for start in range(0, theta.shape[1], self._block):
            block = slice(start, start + self._block)
            z, here = self._kinks(theta[:, block])
            z_new, here_new = self._kinks(new[:, block])
            if np.any(here & ~here_new):
                return None
            across = ((z > 0.0) != (z_new > 0.0)) & ~here & ~here_new
            which = np.flatnonzero(across.any(axis=0))
            if not which.size:
                continue
            p, weight, across = (
                np.abs(new[0, block])[which],
                self.system.weight[block][which],
                across[:, which],
            )
            beyond = np.where(across, np.abs(z_new[:, which]), 0.0)
            output += beyond @ (weight * p)
            late = beyond / np.where(across, np.abs(z_new[:, which] - z[:, which]), 1.0)
            square += float(weight @ (h * p * (pull @ late)) ** 2)
            first = min(first, 1.0 - float(late.max()))
            across_of.update(
                {start + int(k): np.flatnonzero(a) for k, a in zip(which, across.T, strict=True)}
            )
        return Crossed(output, math.sqrt(square), across_of, first)

    def catch(self, theta: Array, e: Array, across: dict[int, NDArray[np.int64]]) -> EventCounts:
        """Put neurons that went across kinks that hold them onto these, in ``theta``; count what happened."""
        jump, events = self._jump(e), EventCounts()
        for k, kinks in across.items():
            q, x = theta[1:, k], self.system.x[kinks]
            at = theta[:, k].copy()
            at[1:] -= np.linalg.lstsq(x, x @ q, rcond=None)[0]
            z, here = self._kinks(at[:, None])
            slide = self._settle(at, z[:, 0] > 0.0, here[:, 0], e, jump) if here[kinks].all() else None
            if slide is not None and slide.leaves is None:
                theta[:, k] = at
                events += EventCounts(slid=1)
            else:
                events += EventCounts(crossed=len(kinks))
        return events

    def _jump(self, e: Array) -> Array:
        """The residual of each kink, in units of its first sample."""
        sums = np.bincount(self.system.samples.leader, e * self._lengths, minlength=len(e))
        return np.asarray(sums / self._lengths)

    def _kinks(self, theta: Array, share: float = kernels.ON_KINK) -> _Kinks:
        z = self.system.x @ theta[1:]
        edge = share * self._lengths[:, None] * np.linalg.norm(theta[1:], axis=0)
        return _Kinks(z, np.abs(z) <= edge)

    def _rests_at_origin(self, theta: Array) -> bool:
        """Whether some neuron is at the origin of q and not dead there."""
        p, q = theta[0], theta[1:]
        size = np.linalg.norm(q, axis=0)
        there = (size <= AT_ORIGIN * np.abs(p)) & (size > 0.0)
        return bool(there.any() and is_active(q[:, there], size[there], self.system.x).any())

    def _settle(
        self, theta: Array, positive: NDArray[np.bool_], here: NDArray[np.bool_], e: Array, jump: Array
    ) -> Slide | None:
        """What a neuron on kinks does; None if they are dependent, or if both sides of one push it away."""
        samples = self.system.samples
        active, kinks = np.where(here, ~samples.same, positive), np.unique(samples.leader[here])
        if not active.any():  # dead there: it stays
            return Slide(0, active, np.eye(len(theta) - 1))
        x, e_kink, lengths = self.system.x[kinks], jump[kinks], self._lengths[kinks]
        p, left = float(theta[0]), np.ones(len(kinks), bool)
        leaves, speed, G = np.zeros(x.shape[1]), 0.0, (e * active) @ self.system.x
        if len(kinks) >= x.shape[1] or np.any(p * e_kink <= 0.0):
            return None
        basis, R = np.linalg.qr(x.T)
        if np.any(np.abs(np.diag(R)) <= _DEPENDENT * lengths):
            return None
        # Releases the kink that holds least, one after another. basis R = x', and so R pulls = -basis' G.
        while left.any():
            basis, R = np.linalg.qr(x[left].T)
            share = np.linalg.solve(R, -basis.T @ G) / e_kink[left]
            off = np.maximum(share - 1.0, -share)
            worst = int(np.argmax(off))
            if off[worst] < 0.0:
                break
            i, side = int(np.flatnonzero(left)[worst]), -1.0
            left[i] = False
            if share[worst] >= 1.0:
                shared = samples.leader == kinks[i]
                active[shared], G, side = samples.same[shared], G + e_kink[i] * x[i], 1.0
            leaves += side * _BESIDE * x[i] / lengths[i]
            speed += abs(p * e_kink[i]) * float(off[worst]) * lengths[i]
        held = basis if left.any() else np.zeros((x.shape[1], 0))
        leaves -= held @ (held.T @ leaves)
        return Slide(0, active, held) if left.all() else Slide(0, active, held, leaves, speed)
