"""The infinite-width limit in one call: closed form where it holds, quadrature particles elsewhere."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from meanfield.arguments import as_number, generator, instance, number, shown, whole_number
from meanfield.errors import InputError
from meanfield.flow import Status, Trajectory, gradient_flow
from meanfield.flow.trajectory import Stats
from meanfield.limits.kernel_regime import KernelRegime
from meanfield.limits.result import InfiniteWidth
from meanfield.particles import Particles
from meanfield.problem import Problem
from meanfield.scaling import Scaling

Array = NDArray[np.float64]

#: Particles at the first level of refinement, and factor between levels.
_FIRST, _FACTOR = 512, 2
#: The kernel's estimated change is multiplied by this before it is compared with the tolerance.
_CAUTION = 10.0
#: Displacement RD_w beyond which so many neurons cross kinks that lattices beat product rules.
_CROSSING = 0.1
#: Times at which refinements are compared, per decade, and decades before the first run's end.
_PER_DECADE, _DECADES = 24, 5
#: The flow's rounding, relative to the targets, that is small enough for it.
_ROUNDING = 1e-2
#: Slowest mode's decay at which the closed form counts as at rest.
_AT_REST = 40.0
#: At huge m a plateau may last long: the flow rests only at this share of its largest speed.
_STATIONARITY, _MAX_STEPS = 1e-12, 5000
#: kappa' beyond which output weights may count as still, and its least distance from where they move.
_LARGE, _FROZEN = 1e5, 1e4


def infinite_width(
    problem: Problem,
    scaling: Scaling,
    *,
    width: float,
    tol: float = 1e-4,
    loss_tol: float = 1e-6,
    nodes: int | None = None,
    max_nodes: int = 16_384,
    rule: str | None = None,
    method: str = "auto",
    rng: int = 0,
) -> InfiniteWidth:
    """Integrate the law-of-large-numbers dynamics at scale m: a network of width m without sampling noise.

    Parameters
    ----------
    problem : Problem
        The data.
    scaling : Scaling
        Sets kappa and kappa_prime at this width.
    width : float
        The scale m, any real number from 2 on: 1e4 or 1e60.
    tol : float
        Wanted accuracy of the loss along the run, as a share of the initial loss. Nodes are doubled until
        two levels agree to it.
    loss_tol : float
        Stop once ``R <= loss_tol``.
    nodes : int, optional
        Number of particles, without refinement; the error is then nan.
    max_nodes : int
        Refinement stops here, whether or not the tolerance was met (see ``InfiniteWidth.accurate``).
    rule : {"product", "lattice"}, optional
        See :meth:`Particles.quadrature`; by default chosen by the displacement that the kernel regime's
        law predicts.
    method : {"auto", "mean-field", "kernel"}
        "kernel" is the closed form of the kernel regime; "auto" uses it where its estimated error is
        within the tolerance, and where outputs are so small a difference of sums over particles that
        double precision loses it. Where both are in reach, the other one is the ``cross_check``.
    rng : int
        Scrambles the nodes at rank 3 and above.

    Returns
    -------
    InfiniteWidth
        A trajectory with ``error``, ``source`` and ``accurate``.

    Raises
    ------
    InputError
        For arguments that cannot be used.

    Examples
    --------
    >>> import meanfield as mf
    >>> problem = mf.datasets.four_points()
    >>> limit = mf.infinite_width(problem, mf.Scaling(gamma=0.5), width=1e30)
    >>> limit.source, limit.accurate, limit.status.name
    ('kernel', True, 'CONVERGED')
    >>> mf.infinite_width(problem, mf.Scaling.named("mean-field"), width=1e30, nodes=256).source
    'mean-field'
    """
    plan = _Plan(problem, scaling, _as_width(width), tol, loss_tol, max_nodes, rule, rng)
    if not isinstance(method, str) or method not in ("auto", "mean-field", "kernel"):
        raise InputError(f"no method is called {shown(method)}; choose auto, mean-field or kernel")
    if method == "kernel" or (method == "auto" and plan.kernel_holds):
        return _closed_form(plan, check=method == "auto")
    if nodes is not None:
        run = plan.flow(nodes, plan.times(nodes))
        return _result(run, source="mean-field", nodes=run.initial.size, tolerance=tol)
    return _refined(plan)


@dataclass(frozen=True, eq=False)
class _Plan:
    """What is computed, and which ways to compute it are open."""

    problem: Problem
    scaling: Scaling
    width: float
    tol: float
    loss_tol: float
    max_nodes: int
    rule: str | None
    rng: int

    def __post_init__(self) -> None:
        expected = "a relative tolerance between 1e-12 and 1"
        object.__setattr__(self, "tol", number("tol", self.tol, expected, least=1e-12, below=1.0))
        loss_tol = number("loss_tol", self.loss_tol, "a positive number", above=0.0)
        object.__setattr__(self, "loss_tol", loss_tol)
        if not as_number(self.max_nodes) >= 16:
            raise InputError(f"max_nodes is {shown(self.max_nodes)}; give at least 16")
        generator(self.rng)
        instance("problem", self.problem, Problem, "Problem(x, y) or meanfield.datasets")
        if not loss_tol < self.problem.zero_loss:
            raise InputError(
                f"loss_tol is {loss_tol:g}, but the loss starts at {self.problem.zero_loss:.4g}; give a "
                "smaller loss_tol, and targets that are not all zero"
            )
        law = KernelRegime.at(self.problem, self.scaling, self.width)
        object.__setattr__(self, "law", law)
        object.__setattr__(self, "kernel_error", _CAUTION * law.nonlinearity(law.time_to(self.loss_tol)))

    law: KernelRegime = None  # type: ignore[assignment]  # set above
    kernel_error: float = math.nan

    @property
    def rounding(self) -> float:
        """Rounding of an output, sum over m particles, in units of the targets' rounding times tol."""
        lengths = float(np.linalg.norm(self.problem.x, axis=1).max())
        target = float(np.sqrt(np.mean(self.problem.y**2)))
        largest = self.width * self.law.kappa * math.sqrt(self.problem.d) * lengths
        return float(np.finfo(np.float64).eps) * largest / (target * self.tol) if target > 0.0 else 0.0

    @property
    def kernel_holds(self) -> bool:
        return self.kernel_error <= self.tol or self.rounding > 1.0

    def particles(self, nodes: int) -> Particles:
        rule = self.rule
        if rule is None:
            rule = "lattice" if self.law.displacement().rd_w > _CROSSING else "product"
        return Particles.quadrature(
            self.problem, self.scaling, self.width, nodes=nodes, rule=rule, rng=self.rng
        )

    @property
    def rtol(self) -> float:
        """Tolerance of the flow: not below what rounding leaves of the displacement of the stiller layer."""
        moved = self.law.displacement()
        smallest, eps = min(moved.rd_w, moved.rd_a), float(np.finfo(np.float64).eps)
        resolved = smallest > eps  # a layer that moves by less stays where it is, and makes no error
        return min(max(self.tol, 30.0 * eps / smallest if resolved else 0.0), 0.03)

    def times(self, nodes: int) -> Array:
        """Times to keep: a little beyond the end, as finer levels may take longer."""
        end = float(self.flow(nodes).time[-1])
        return np.geomspace(end * 10.0**-_DECADES, 4.0 * end, _PER_DECADE * _DECADES)

    @property
    def stand_in(self) -> float:
        """A kappa' in the place of one so large that output weights stand still.

        There nothing but the unit of time and the tiny RD_a depend on it (exactly as kappa' goes to
        infinity, with an error of the squared displacement of a); the flow cannot tell input weights
        of size 1/kappa' times the output weights from zero.
        """
        largest = max(1.0, 1.0 / (self.width * self.law.kappa))  # of RD_w, in order of magnitude
        return min(self.law.kappa_prime, max(_LARGE, _FROZEN * largest))

    def flow(self, nodes: int, at: Array | None = None, finer: float = 1.0) -> Trajectory:
        rtol = self.rtol * finer
        particles, factor = self.particles(nodes), self.law.kappa_prime / self.stand_in
        run = gradient_flow(
            self.problem, replace(particles, kappa_prime=self.stand_in), loss_tol=self.loss_tol, rtol=rtol,
            atol=1e-3 * rtol, save_at=None if at is None else factor * at, stationarity=_STATIONARITY,
            max_steps=_MAX_STEPS, progress=False,
        )  # fmt: skip
        if factor == 1.0:
            return run
        # tbar runs like 1 / kappa' and RD_a like 1 / kappa'**2 while output weights stand still.
        return replace(
            run, time=run.time / factor, rd_a=run.rd_a / factor**2, initial=particles,
            final=replace(run.final, kappa_prime=particles.kappa_prime),
            stats=replace(run.stats, rd_a_max=run.stats.rd_a_max / factor**2),
        )  # fmt: skip


def _refined(plan: _Plan) -> InfiniteWidth:
    """Double the nodes until two levels agree."""
    at = plan.times(_FIRST)
    coarse = plan.flow(_FIRST, at)
    in_time, rd_in_time = _difference(coarse, plan.flow(_FIRST, at, finer=10.0))
    nodes, error, rd_error, fine = _FIRST, math.inf, math.inf, coarse
    while error > plan.tol and nodes * _FACTOR <= plan.max_nodes:
        nodes *= _FACTOR
        fine = plan.flow(nodes, at)
        change, rd_change = _difference(coarse, fine)
        error, rd_error, coarse = change + in_time, rd_change + rd_in_time, fine
    return _result(
        fine, error=error, rd_error=rd_error, source="mean-field", nodes=fine.initial.size,
        tolerance=plan.tol,
    )  # fmt: skip


def _difference(one: Trajectory, other: Trajectory) -> tuple[float, float]:
    """Largest difference of the losses at common times, and of the largest RD_w, relative."""
    _, i, j = np.intersect1d(one.time, other.time, return_indices=True)
    loss = float(np.max(np.abs(one.loss[i] - other.loss[j]))) / float(one.loss[0])
    moved = other.stats.rd_w_max
    # A displacement below rounding, which only the closed form has, compares with nothing.
    return loss, abs(one.stats.rd_w_max / moved - 1.0) if moved > 0.0 else math.nan


def _closed_form(plan: _Plan, *, check: bool) -> InfiniteWidth:
    """The kernel regime's law at a grid of times, as a trajectory."""
    started, law, initial = time.monotonic(), plan.law, plan.particles(_FIRST)
    end = law.time_to(plan.loss_tol)
    status = Status.CONVERGED if math.isfinite(end) else Status.STATIONARY
    if not math.isfinite(end):
        end = _AT_REST / float(law.rates[law.rates > 0.0][0])
    times = np.append(0.0, np.geomspace(end * 10.0**-_DECADES, end, _PER_DECADE * _DECADES))
    moved = [law.displacement(t, initial) for t in times]
    rd_w, rd_a = (np.array([getattr(d, name) for d in moved]) for name in ("rd_w", "rd_a"))
    residual = np.array([law.residual(t) for t in times])
    run = Trajectory(
        problem=plan.problem,
        time=times,
        loss=np.array([law.loss(t) for t in times]),
        output=residual + plan.problem.y,
        rd_w=rd_w,
        rd_a=rd_a,
        initial=initial,
        final=_moved(law, initial, end),
        status=status,
        stats=Stats(
            method="kernel regime, closed form", rtol=0.0, atol=0.0, steps=0, rejected=0, passes=0,
            seconds=time.monotonic() - started, rd_w_max=float(rd_w.max()), rd_a_max=float(rd_a.max()),
            conservation_drift=0.0, energy_drift=0.0, capacity=math.nan,
        ),
    )  # fmt: skip
    cross = math.nan
    if check and plan.rounding <= _ROUNDING and plan.kernel_error <= 1.0:
        flow = plan.flow(_FIRST, times[1:])
        cross, _ = _difference(run, flow)
    return _result(
        run, error=plan.kernel_error, rd_error=plan.kernel_error, source="kernel", nodes=initial.size,
        cross_check=cross, tolerance=plan.tol,
    )  # fmt: skip


def _moved(law: KernelRegime, initial: Particles, t: float) -> Particles:
    """Particles displaced by the first order of the law."""
    impulse, x = law.impulse(t), law.problem.x
    z = initial.w @ x.T
    a = initial.a + law.kappa / law.kappa_prime * (np.maximum(z, 0.0) @ impulse)
    w = initial.w + law.kappa * law.kappa_prime * initial.a[:, None] * (((z > 0.0) * impulse) @ x)
    return initial.moved(a, w)


def _result(run: Trajectory, **own: float | str) -> InfiniteWidth:
    series = {field.name: getattr(run, field.name) for field in fields(Trajectory)}
    return InfiniteWidth(**series, **own)  # type: ignore[arg-type]


@dataclass(frozen=True)
class LimitDisplacement:
    """Displacements at the end of training at one point of the plane.

    Attributes
    ----------
    rd_w, rd_a : float
        Suprema of the relative displacements. Those below the rounding of double precision that no closed
        form covers come out too small (a displacement is a difference of two states).
    loss, time : float
        Loss and tbar at the end.
    status : Status
        Why the run ended.
    steps : int
        Steps of the flow; 0 for the closed form.
    source : str
        "kernel" or "mean-field".
    """

    rd_w: float
    rd_a: float
    loss: float
    time: float
    status: Status
    steps: int
    source: str


def limit_displacement(
    problem: Problem,
    scaling: Scaling,
    *,
    width: float,
    nodes: int = 256,
    tol: float = 1e-3,
    loss_tol: float = 1e-6,
) -> LimitDisplacement:
    """RD_w and RD_a at the scale m by the fastest way: one number per layer, for maps of the plane.

    Parameters
    ----------
    problem, scaling, width, loss_tol
        As in :func:`infinite_width`.
    nodes : int
        Particles of the flow.
    tol : float
        Estimated change of the kernel up to which the closed form is used.

    Examples
    --------
    >>> import meanfield as mf
    >>> at = lambda m: limit_displacement(mf.datasets.four_points(), mf.Scaling(1.2, 0.6), width=m).rd_w
    >>> print(f"{math.log10(at(1e30) / at(1e20)) / 10:.3f}")
    -0.800
    """
    count = whole_number("nodes", nodes, least=16)
    plan = _Plan(problem, scaling, _as_width(width), tol, loss_tol, count, None, 0)
    if plan.kernel_holds:
        end = plan.law.time_to(loss_tol)
        moved = plan.law.displacement(end, plan.particles(nodes))
        status = Status.CONVERGED if math.isfinite(end) else Status.STATIONARY
        return LimitDisplacement(moved.rd_w, moved.rd_a, plan.law.loss(end), end, status, 0, "kernel")
    run = plan.flow(nodes)
    return LimitDisplacement(
        run.stats.rd_w_max, run.stats.rd_a_max, float(run.loss[-1]), float(run.time[-1]), run.status,
        run.stats.steps, "mean-field",
    )  # fmt: skip


def _as_width(width: object) -> float:
    return number("width", width, "a finite number from 2 on, such as 1e12", least=2.0)
