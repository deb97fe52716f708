"""Step-size control: which attempts are accepted, and how long the next step is."""

from __future__ import annotations

import math

import numpy as np

from meanfield.flow.method import Attempt
from meanfield.flow.observables import Observation
from meanfield.flow.state import State
from meanfield.flow.system import CanonicalSystem

_SAFETY, _SHRINK, _SHRINK_AGAIN, _GROW = 0.9, 0.2, 0.04, 8.0
#: A step may raise the loss by this share: rounding.
_ROUNDING = 1e-9
#: A step is short below this share of the time so far: what was wrong in a fast mode decays within it.
_SHORT = 3e-3
#: Rounding of a layer, as a share of its norm: what looks like an error below it is none.
_LAYER_ROUNDING = 8.0 * float(np.finfo(np.float64).eps)


class StepControl:
    """Accepts steps by their estimated error and chooses the length of the next one.

    A step is accepted if the loss did not rise by more than rounding (in short and in stiff steps: than the
    estimated error explains) and the estimated error is at most

    - ``rtol |e| + atol y_scale`` in the outputs (root mean squares over the samples); for losses other than
      the mean square ``rtol |e| + atol y_scale |H|`` in the pulls e, with the curvatures H of the samples'
      losses, and where the method knows its error of the outputs, ``2 rtol R + atol y_scale |e|`` in R,
    - ``particle_factor rtol`` times their displacement so far in the particles (a factor that the system
      knows), for p and q apart, and no less than their rounding.

    The displacement, not the size, is the scale for particles: in the linear regime parameters
    hardly move, and everything that matters is in how.

    Parameters
    ----------
    rtol, atol : float
        Tolerances.
    error_order : int
        Power of h with which the method's estimate falls.
    """

    def __init__(self, rtol: float, atol: float, error_order: int) -> None:
        self.rtol = rtol
        self.atol = atol
        self._exponent = 1.0 / error_order
        self._after_rejection = False

    def error(self, before: State, attempt: Attempt, seen: Observation, system: CanonicalSystem) -> float:
        """Estimated error in units of the tolerance; the step is good if it is at most 1."""
        if not (math.isfinite(attempt.state.loss) and np.all(np.isfinite(attempt.layer_error))):
            return math.inf
        errors = self._of_samples(before, attempt, system.y_scale)
        layers = ((seen.p_moved, seen.p_size), (seen.q_moved, seen.q_size))
        for error, (moved, size) in zip(attempt.layer_error, layers, strict=True):
            resolved = system.particle_factor * self.rtol * moved + _LAYER_ROUNDING * size
            errors.append(_over(float(error), resolved))
        return max(errors)

    def _of_samples(self, before: State, attempt: Attempt, y_scale: float) -> list[float]:
        """Errors of the outputs, or of what they pull and cost, in units of the tolerance."""
        error, size = attempt.output_error, _rms(before.e)
        if before.curvature is None or attempt.state.curvature is None:
            return [_over(_rms(error), self.rtol * size + self.atol * y_scale)]
        curvature = np.maximum(_strength(before.curvature), _strength(attempt.state.curvature))
        # Relative to e, which vanishes together with H where the loss falls off exponentially.
        allowed = self.rtol * size + self.atol * y_scale * _rms(curvature)
        if attempt.of_pull:
            return [_over(_rms(error), allowed)]
        # Where the loss is straight, errors of the outputs do not change e, but the loss.
        cost = float(np.mean(np.abs(before.e * error)))
        straight = 2.0 * self.rtol * before.loss + self.atol * y_scale * size
        return [_over(_rms(curvature * error), allowed), _over(cost, straight)]

    def accepts(self, before: State, attempt: Attempt, error: float, rounding: float) -> bool:
        """Whether an attempt of this error becomes the new state; ``rounding`` is that of outputs."""
        rise, size = _ROUNDING * before.loss, _rms(before.e)
        if attempt.stiff or attempt.state.s - before.s < _SHORT * before.s:
            # A rise that the estimated error explains is that error.
            error_size = _rms(attempt.output_error)
            explained = error_size * (size + 0.5 * error_size) if before.curvature is None else math.inf
            rise = max(rise, min(explained, self.rtol * before.loss))
        rise = max(rise, rounding * size) + 8.0 * steepest(before) * rounding**2
        return error <= 1.0 and attempt.state.loss <= before.loss + rise

    def next_h(self, h: float, error: float, accepted: bool) -> float:
        """Length of the next step after one of length h with this error."""
        # A step that fails again is not in the smooth regime: neurons change their pattern together,
        # and the error falls like h, not like its power.
        again = self._after_rejection and not accepted
        exponent, shrink = (1.0, _SHRINK_AGAIN) if again else (self._exponent, _SHRINK)
        factor = _GROW if error == 0.0 else _SAFETY * error**-exponent if error < math.inf else 0.0
        factor = min(max(factor, shrink), _GROW)
        if not accepted:
            factor = min(factor, 0.5)
        elif self._after_rejection:
            factor = min(factor, 1.0)
        self._after_rejection = not accepted
        return h * factor


def first_h(system: CanonicalSystem, state: State) -> float:
    """Length of the first step: a tenth of the fastest time scale at the start.

    The residual changes at most at the rate of the trace of K/n, a particle at most at the rate
    ``(1/n) sum_i |e_i| |x_i|``; with the largest curvature of a sample's loss in front of K.
    """
    lengths = np.linalg.norm(system.x, axis=1)
    p2, q2 = system.observe(state.theta)[2:4]
    residual_rate = steepest(state) * system.kappa * float(np.mean(lengths**2)) * float(p2 + q2)
    particle_rate = float(lengths @ np.abs(state.e).reshape(len(lengths), -1).sum(axis=1)) / system.n
    return 0.1 / (residual_rate + particle_rate)


def steepest(state: State) -> float:
    """The largest curvature of a sample's loss."""
    return 1.0 if state.curvature is None else float(_strength(state.curvature).max())


def _strength(curvature: np.ndarray) -> np.ndarray:
    """A bound of the curvature at each output, (n c,); of blocks (n, c, c) their Frobenius norms."""
    if curvature.ndim == 1:
        return curvature
    return np.repeat(np.linalg.norm(curvature, axis=(1, 2)), curvature.shape[1])


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values * values)))


def _over(error: float, allowed: float) -> float:
    return error / allowed if allowed > 0.0 else 0.0 if error == 0.0 else math.inf
