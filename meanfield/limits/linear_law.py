"""A law of a constant kernel as users meet it: at one time or several, with displacements and tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import displays
from meanfield.arguments import number, over_times, real_array
from meanfield.displays import brief
from meanfield.exporting import dataset, frame, of_samples
from meanfield.limits.linear_flow import LinearFlow
from meanfield.problem import Problem

if TYPE_CHECKING:
    import pandas
    import xarray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Displacement:
    """Relative displacements of both layers and what they are made of.

    All are arrays of shape (S,) where S times were asked for.

    Attributes
    ----------
    rd_w, rd_a : float
        RD_w and RD_a, of first and second order together.
    first_w, first_a : float
        First order: each layer under the initial weights of the other.
    second_w, second_a : float
        Second order: under the displacement of the other.
    rounding : float
        Estimated relative error of the first order by rounding: large where samples nearly coincide so that
        not even 32 digits tell them apart.
    """

    first_w: float
    first_a: float
    second_w: float
    second_a: float
    rounding: float = 0.0

    @property
    def rd_w(self) -> float:
        """Of the input weights."""
        return _hypot(self.first_w, self.second_w)

    @property
    def rd_a(self) -> float:
        """Of the output weights."""
        return _hypot(self.first_a, self.second_a)

    def __repr__(self) -> str:
        if np.ndim(self.first_w):
            return brief(self)
        values = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))
        return f"{type(self).__name__}({values})"

    @classmethod
    def _over_times(cls, t: ArrayLike, at: Callable[[float], Displacement]) -> Displacement:
        """Displacements at one time, or at several, whose values are stacked."""
        found = over_times("t", t, at)
        if isinstance(found, Displacement):
            return found
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.array([getattr(one, name) for one in found]) for name in names})  # type: ignore[arg-type]


def _hypot(one: float, other: float) -> float:
    """The same bits for numbers and for arrays of them."""
    if np.ndim(one) == 0:
        return math.hypot(one, other)
    return np.array([math.hypot(*pair) for pair in zip(one, other, strict=True)])  # type: ignore[return-value, call-overload]


class LinearLaw:
    """What a constant kernel makes of the residual, for users: times are checked, and may be several."""

    problem: Problem
    #: In notebooks.
    _title: ClassVar[str]

    @property
    def _scales(self) -> dict[str, float]:
        """Width, kappa and kappa_prime, by their names."""
        raise NotImplementedError

    @property
    def _flow(self) -> LinearFlow:
        raise NotImplementedError

    @property
    def rates(self) -> Array:
        """Rates of decay of the residual's modes in 1/tbar, ascending, shape (n,); 0: never learned."""
        return self._flow.rates

    @property
    def unlearnable(self) -> float:
        """Loss that is left at infinite time: of the targets' part in the kernel's null space."""
        return self._flow.unlearnable

    def residual(self, t: ArrayLike) -> Array:
        """Residual f - y on the samples at the time tbar = t (may be infinite), shape (n,).

        All laws with a time take several, too, as an array of shape (S,): results are stacked, here (S, n).

        Parameters
        ----------
        t : float or array_like, shape (S,)
            Time (tbar), may be infinite; or several.

        Returns
        -------
        ndarray, shape (n,) or (S, n)
        """
        return np.asarray(over_times("t", t, lambda s: self._flow.residual(a_time(s))))

    @overload
    def loss(self, t: float) -> float: ...

    @overload
    def loss(self, t: ArrayLike) -> float | Array: ...

    def loss(self, t: ArrayLike) -> float | Array:
        """``R = (1/2n) sum_i e_i**2`` at the time tbar = t.

        Parameters
        ----------
        t : float or array_like, shape (S,)
            Time (tbar), may be infinite; or several.

        Returns
        -------
        float or ndarray, shape (S,)
            In the units of the squared targets.
        """
        found: float | Array = over_times("t", t, lambda s: self._flow.loss(a_time(s)))
        return found

    def time_to(self, loss: float) -> float:
        """Time tbar at which the loss has fallen to a value; infinite if it never does.

        Parameters
        ----------
        loss : float
            A value of ``R``, in the units of the squared targets.

        Returns
        -------
        float
            Time (tbar).
        """
        return self._flow.time_to(loss)

    def impulse(self, t: ArrayLike) -> Array:
        """``T_i = -(1/n) int_0^t e_i dtbar`` in its learnable part, shape (n,); (S, n) at S times.

        Parameters
        ----------
        t : float or array_like, shape (S,)
            Time (tbar), may be infinite; or several.

        Returns
        -------
        ndarray, shape (n,) or (S, n)
        """
        vectors = self._flow.vectors
        return np.asarray(over_times("t", t, lambda s: vectors @ self._flow.impulse(a_time(s))))

    def output(self, x: ArrayLike, t: ArrayLike = math.inf) -> Array:
        """Output on any inputs at the time tbar = t.

        Parameters
        ----------
        x : array_like or data frame, shape (k,) or (k, d_in)
            Inputs in the user's units, without a bias column; columns of a data frame in any order.
        t : float or array_like, shape (S,), default inf
            By default infinite.

        Returns
        -------
        ndarray, shape (k,) or (S, k)
            In the units of the user's targets.
        """
        outputs = self._outputs(self.problem.with_bias(x))
        return self.problem.to_target_units(np.asarray(over_times("t", t, lambda s: outputs(a_time(s)))))

    def _outputs(self, points: Array) -> Callable[[float], Array]:
        """The output on points, with the bias, as a function of time."""
        raise NotImplementedError

    def displacement(self, t: ArrayLike = math.inf) -> Displacement:
        """Relative displacements of the layers at the time tbar = t.

        Parameters
        ----------
        t : float or array_like, shape (S,), default inf
            Time (tbar), may be infinite; or several.

        Returns
        -------
        Displacement
        """
        raise NotImplementedError

    def to_pandas(self, t: ArrayLike) -> pandas.DataFrame:
        """The law at some times as a table, with the columns of a run: loss, rd_w, rd_a.

        Units are in ``.attrs["units"]``. The kernel regime has a column ``nonlinearity`` besides: the
        estimated relative error by the kernel's change until then.

        Parameters
        ----------
        t : float or array_like, shape (S,)
            Times (tbar), may be infinite: the rows.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        InputError
            For what is no time.
        MissingExtraError
            If pandas is not installed.

        Examples
        --------
        >>> import meanfield as mf
        >>> law = mf.limits.KernelRegime.at(mf.datasets.four_points(), mf.Scaling.named("ntk"), width=1e6)
        >>> table = law.to_pandas([1.0, 10.0])
        >>> table.index.tolist(), list(table.columns)
        ([1.0, 10.0], ['loss', 'rd_w', 'rd_a', 'nonlinearity'])
        """
        times = _times(t)
        return frame(self._series(times), {"time": times}, self._attributes())

    def to_xarray(self, t: ArrayLike) -> xarray.Dataset:
        """The law at some times as a data set over time and sample, with units; outputs are in the user's.

        Parameters
        ----------
        t : float or array_like, shape (S,)
            Times (tbar), may be infinite.

        Returns
        -------
        xarray.Dataset

        Raises
        ------
        InputError
            For what is no time.
        MissingExtraError
            If xarray is not installed.
        """
        times = _times(t)
        variables, coordinates = of_samples(self.problem)
        variables |= {name: ("time", series) for name, series in self._series(times).items()}
        output = self.problem.to_target_units(self.residual(times) + self.problem.y)
        variables["output"] = (("time", "sample"), output)
        return dataset(variables, {"time": times, **coordinates}, self._attributes())

    def _series(self, times: Array) -> dict[str, Any]:
        moved = self.displacement(times)
        return {"loss": self.loss(times), "rd_w": moved.rd_w, "rd_a": moved.rd_a}

    def _attributes(self) -> dict[str, Any]:
        """What holds for the law as a whole, in tables and data sets."""
        return {"problem": self.problem.name, **self._scales, "unlearnable": self.unlearnable}

    def _repr_html_(self) -> str:
        data = f"{self.problem.name}, {self.problem.n} samples"
        scales = {name.replace("_prime", "'"): value for name, value in self._scales.items()}
        return displays.card(self._title, {"data": data, **scales})


def a_time(t: float) -> float:
    """A time, checked: >= 0, or infinite."""
    return number("t", t, "a time tbar >= 0, or infinity", least=0.0, most=math.inf)


def _times(t: ArrayLike) -> Array:
    """Times as an array, each looked at where the law is evaluated."""
    return np.atleast_1d(real_array("t", t, finite=False))
