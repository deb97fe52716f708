"""The problem: samples with their bias column, targets, the loss, and what is exact about them.

Gradient flow moves every input weight inside the span of the samples only, so the flow runs in
``rank`` dimensions however large d is; :attr:`Problem.basis` spans them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import displays
from meanfield.arguments import flag, instance, number, real_array, text
from meanfield.errors import InputError
from meanfield.floors import Floors, floors
from meanfield.labels import warn_of_labels
from meanfield.losses import MEAN_SQUARE, Loss, as_loss, check_own, is_known, mean_loss
from meanfield.rays import Rays, frozen
from meanfield.standardisation import Standardisation
from meanfield.tables import column_names, read_samples, read_table


@dataclass(frozen=True, eq=False, init=False)
class Problem:
    """A data set for a two-layer network ``f(x) = (1/alpha) sum_k a_k relu(w_k . x)``, and its loss.

    Parameters
    ----------
    x : array_like or data frame, shape (n,) or (n, d_in)
        Samples, one per row; a one-dimensional array means n samples of one feature.
    y : array_like, series or data frame, shape (n,) or (n, c)
        Targets; a column for each of c outputs. If x and y both have row labels (pandas), y is brought into
        the order of x's.
    bias : bool, default True
        Append a column of ones, so that the last input weight is the neuron's bias (it counts in d).
    name : str, default "data"
        Short name for figures and tables.
    standardise : bool, default False
        Shift and scale every feature to mean 0 and standard deviation 1 over the samples.
    standardise_targets : bool, default False
        The same for the targets.
    feature_names : sequence of str, optional
        Names of the d_in features; by default those of the columns of a data frame, if all are text.
    target_name : str, optional
        Name of the target; by default that of a series or of a data frame's column.
    loss : Loss or str, optional
        What training lowers: "mean-square" (the default), "logistic" for labels of two classes (-1 and 1, 0
        and 1, or booleans), "huber(0.5)", or a :class:`~meanfield.Loss` of your own.

    Attributes
    ----------
    x : ndarray, shape (n, d)
        Samples as the network sees them: standardised if that was asked for, with the bias column;
        read-only.
    y : ndarray, shape (n,), or (n, c) for c > 1 outputs
        Targets as the network sees them; read-only. Losses and the outputs that runs keep are in the same
        units. Labels of the logistic loss are -1 and 1 here.
    loss_function : Loss
        The loss of one sample; training lowers ``R = (1/n) sum_i l(f(x_i), y_i)``.
    standardisation : Standardisation or None
        The shift and scale of features and targets; None if nothing was standardised. ``predict`` takes and
        gives the user's units all the same.
    feature_names : tuple of str or None
        Names of the features, for labels and for the columns that ``predict`` takes; as scikit-learn's
        ``feature_names_in_``, only if all are text.
    target_name : str or None
        Name of the target.

    Raises
    ------
    InputError
        For arrays that are not numeric, finite and of matching shapes; for all-zero inputs; for row labels
        that differ; if features are to be standardised and none varies; for targets that the loss does not
        take.

    Warns
    -----
    UserWarning
        If targets look like class labels and no loss is given: if they are whole numbers (or booleans), at
        most 100 different ones, and each occurs twice or more on average.

    Examples
    --------
    >>> problem = Problem([-1.0, 0.0, 1.0], [1.0, 0.0, 1.0])
    >>> problem.n, problem.d, problem.rank
    (3, 2, 2)

    Temperatures in kelvin, which the network sees around zero:

    >>> problem = Problem([280.0, 300.0, 320.0], [1.0, 2.0, 6.0], standardise=True)
    >>> problem.x[:, 0].round(3).tolist(), problem.features[:, 0].round(3).tolist()
    ([-1.225, 0.0, 1.225], [280.0, 300.0, 320.0])

    Two classes:

    >>> problem = Problem([-2.0, -1.0, 1.0, 2.0], [False, False, True, True], loss="logistic")
    >>> problem.y, round(problem.zero_loss, 4)
    (array([-1., -1.,  1.,  1.]), 0.6931)
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    bias: bool
    name: str
    standardisation: Standardisation | None
    feature_names: tuple[str, ...] | None
    target_name: str | None
    loss_function: Loss

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        bias: bool = True,
        name: str = "data",
        standardise: bool = False,
        standardise_targets: bool = False,
        feature_names: Sequence[str] | None = None,
        target_name: str | None = None,
        loss: Loss | str | None = None,
    ) -> None:
        samples = read_samples(x, y)
        inputs, targets = samples.inputs, samples.targets
        if loss is None:
            warn_of_labels(targets)
        loss_function = MEAN_SQUARE if loss is None else as_loss(loss)
        targets = _targets_of(loss_function, targets)
        bias, name = flag("bias", bias), text("name", name)
        of_features, of_targets = (
            flag("standardise", standardise),
            flag("standardise_targets", standardise_targets),
        )
        if of_targets and loss_function.labels:
            raise InputError(
                f"standardise_targets is True, but targets of the loss {loss_function.name!r} are labels; "
                "leave it out"
            )
        if of_targets and targets.ndim == 2:
            raise InputError(
                f"standardise_targets is True, but y has {targets.shape[1]} columns; bring them to one scale "
                "yourself, for it decides how much each counts"
            )
        units = None
        if of_features or of_targets:
            units = Standardisation.of(
                inputs, targets, of_features=of_features, of_targets=of_targets, name=name
            )
            inputs, targets = units.transform(inputs), units.transform_targets(targets)
        names = feature_names if feature_names is None else column_names(feature_names, inputs.shape[1])
        if bias:
            inputs = np.column_stack([inputs, np.ones(inputs.shape[0])])
        known = {
            "x": frozen(inputs),
            "y": frozen(targets),
            "bias": bias,
            "name": name,
            "standardisation": units,
            "feature_names": samples.feature_names if names is None else names,
            "target_name": samples.target_name if target_name is None else text("target_name", target_name),
            "loss_function": loss_function,
        }
        for field, value in known.items():
            object.__setattr__(self, field, value)

    def standardised(
        self, *, features: bool = True, targets: bool = False, name: str | None = None
    ) -> Problem:
        """The same samples with features, or targets, or both shifted and scaled.

        Parameters
        ----------
        features : bool, default True
            Bring every feature to mean 0 and standard deviation 1; if not, features are in the user's units.
        targets : bool, default False
            The same for the targets.
        name : str, optional
            By default that of this problem.

        Returns
        -------
        Problem
            A new problem, made from the data in the user's units. What was standardised before does not
            count.

        Raises
        ------
        InputError
            If features are to be standardised and none varies.

        Examples
        --------
        >>> problem = Problem([280.0, 300.0, 320.0], [1.0, 2.0, 6.0]).standardised()
        >>> problem.x[:, 0].round(3).tolist(), problem.far_from_zero
        ([-1.225, 0.0, 1.225], '')
        """
        return Problem(
            self.features,
            self.targets,
            bias=self.bias,
            name=self.name if name is None else name,
            standardise=flag("features", features),
            standardise_targets=flag("targets", targets),
            feature_names=self.feature_names,
            target_name=self.target_name,
            loss=self.loss_function,
        )

    def described(self) -> dict[str, Any]:
        """What files keep of a problem beside x and y: plain text and numbers; see :meth:`restored`."""
        return {
            "bias": self.bias,
            "name": self.name,
            "feature_names": self.feature_names,
            "target_name": self.target_name,
            "standardisation": None if self.standardisation is None else self.standardisation.as_dict(),
            "loss": self.loss_function.name,
        }

    @classmethod
    def restored(cls, x: ArrayLike, y: ArrayLike, described: Mapping[str, Any]) -> Problem:
        """A problem as a file has kept it, to the bit.

        Parameters
        ----------
        x, y : array_like, shapes (n, d_in) and (n,)
            Samples and targets as the network sees them, without the bias column.
        described : mapping
            What :meth:`described` has returned.

        Raises
        ------
        InputError
            If it is something else, or a part of it is missing.
        """
        instance("described", described, Mapping, "Problem.described()")  # type: ignore[type-abstract]
        about = {"loss": MEAN_SQUARE.name, **described}  # earlier versions knew no other
        try:
            kept = about.pop("standardisation")
            problem = cls(x, y, bias=about.pop("bias"), name=about.pop("name"), **about)
            if kept is not None:
                object.__setattr__(problem, "standardisation", Standardisation.from_dict(kept, problem.d_in))
        except (KeyError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise InputError(
                f"described is not what Problem.described() returns ({reason}); give all of that"
            ) from None
        return problem

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.x.shape[0])

    @property
    def d(self) -> int:
        """Dimension of the input weights, bias included."""
        return int(self.x.shape[1])

    @property
    def d_in(self) -> int:
        """Number of features that the user gives, bias not included."""
        return self.d - int(self.bias)

    @property
    def features(self) -> NDArray[np.float64]:
        """The samples in the user's units, without the bias column, shape (n, d_in)."""
        own = self.x[:, : self.d_in]
        return own if self.standardisation is None else frozen(self.standardisation.inverse_transform(own))

    @property
    def targets(self) -> NDArray[np.float64]:
        """The targets in the user's units, shape (n,)."""
        return frozen(self.to_target_units(self.y))

    @property
    def target_scale(self) -> float:
        """One unit of the network's outputs, in the units of the user's targets."""
        return 1.0 if self.standardisation is None else self.standardisation.target_scale

    @cached_property
    def basis(self) -> NDArray[np.float64]:
        """Orthonormal basis of the samples' span, shape (d, rank); the identity at full rank."""
        _, singular, rows = np.linalg.svd(self.x, full_matrices=False)
        rank = int(np.sum(singular > singular[0] * max(self.x.shape) * np.finfo(np.float64).eps))
        return frozen(np.eye(self.d) if rank == self.d else rows[:rank].T)

    @property
    def rank(self) -> int:
        """Dimension of the samples' span: the flow runs in as many dimensions."""
        return int(self.basis.shape[1])

    @cached_property
    def reduced(self) -> NDArray[np.float64]:
        """The samples in coordinates of :attr:`basis`, shape (n, rank)."""
        return self.x if self.rank == self.d else frozen(self.x @ self.basis)

    @cached_property
    def rays(self) -> Rays:
        """The samples with one for each ray from the origin: an equivalent problem, and the way back."""
        return Rays.of(self.reduced, self.y)

    @cached_property
    def _floors(self) -> dict[float | None, Floors]:
        return {}

    def floors(self, degree: float | None = 1.0) -> Floors:
        """What networks can learn of these data, with an activation that is homogeneous of this degree.

        Parameters
        ----------
        degree : float or None, default 1.0
            k if ``sigma(c z) = c**k sigma(z)`` for c > 0: 1 for the ReLU; None for activations such as tanh,
            for which equal samples only have equal outputs.

        Returns
        -------
        Floors

        Examples
        --------
        Three labels of one sample, one of which contradicts, leave their entropy:

        >>> problem = Problem([0.5, 0.5, 0.5], [1, 1, 0], loss="logistic")
        >>> round(problem.floors(None).loss, 4)
        0.6365
        """
        if degree is not None:
            degree = number("degree", degree, "the degree of a homogeneous activation, or None", least=0.0)
        if degree not in self._floors:
            self._floors[degree] = floors(self, degree)
        return self._floors[degree]

    @property
    def loss_floor(self) -> float:
        """A loss R that no network of ReLUs can go below: contradictory labels, and samples on one ray.

        The network is positively homogeneous, so on samples ``c_i u`` (c_i >= 0, all on one ray)
        it takes the values ``c_i t`` for a single t; of the mean square the best t leaves
        ``sum y_i**2 - (sum c_i y_i)**2 / sum c_i**2``. Duplicates are the case c_i = 1 and zero rows
        the case c_i = 0. Samples are on one ray if they are so as they are given: with a bias, if they are
        equal; without, to the rounding of c_i u. For other activations see :meth:`floors`.
        """
        return self.floors().loss

    @property
    def flow_floor(self) -> float:
        """A loss R that training in double precision does not go below, though a network of ReLUs might.

        Larger than ``loss_floor`` if samples with different targets lie within 1e-11 of one direction from
        the origin, as inputs do that are far from zero for their spread.
        """
        return self.floors().flow

    @property
    def far_from_zero(self) -> str:
        """A sentence if a feature varies little around a mean far from zero, where few random neurons bend.

        Empty if none does, and for problems without a bias, which have no place to shift to.

        Examples
        --------
        >>> Problem([1990.0, 2000.0, 2010.0], [0.0, 1.0, 0.0]).far_from_zero.split(";")[0]
        'feature 1 of data runs from 1990 to 2010, far from zero, where random neurons bend'
        """
        features = self.x[:, : self.d_in]
        far = np.flatnonzero(np.abs(features.mean(axis=0)) > 3.0 * features.std(axis=0))
        far = far[np.ptp(features, axis=0)[far] > 0.0]
        if not self.bias or not far.size:
            return ""
        low, high = features[:, far[0]].min(), features[:, far[0]].max()
        which = far[0] + 1 if self.feature_names is None else repr(self.feature_names[far[0]])
        return (
            f"feature {which} of {self.name} runs from {low:g} to {high:g}, far from zero, where random "
            "neurons bend; give standardise=True to Problem or datasets.load, or --standardise, to subtract "
            "its mean and divide by its standard deviation"
        )

    def unseparated(self) -> tuple[int, int] | None:
        """Two samples with different targets that double precision does not tell apart, if any."""
        return self.floors().unseparated

    @property
    def outputs(self) -> int:
        """Number of outputs c."""
        return 1 if self.y.ndim == 1 else int(self.y.shape[1])

    @property
    def zero_loss(self) -> float:
        """Loss of the function that is zero: where antisymmetric networks start."""
        if self.loss_function.quadratic:
            return float(self.y.ravel() @ self.y.ravel()) / (2 * self.n)
        return mean_loss(self.loss_function, np.zeros(self.y.shape), self.y)

    @property
    def learnable(self) -> float:
        """What can be learned: ``zero_loss - loss_floor``, 0 for targets that are all zero."""
        return self.floors().learnable

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the data as the network sees them: same ``x``, ``y`` and loss, same fingerprint."""
        digest = hashlib.sha256(repr((self.x.shape, self.bias)).encode())
        if self.loss_function != MEAN_SQUARE:
            digest.update(self.loss_function.name.encode())
        for array in (self.x, self.y):
            digest.update((array + 0.0).tobytes())  # adding zero turns -0.0 into 0.0
        return digest.hexdigest()

    def same_as(self, other: Problem) -> bool:
        """Whether another problem has the same samples, targets and loss, in the same units.

        Parameters
        ----------
        other : Problem
            What to compare with; its name and the names of its columns do not matter.

        Returns
        -------
        bool
            True if ``x``, ``y``, ``bias``, the standardisation and the loss are equal to the bit.

        Raises
        ------
        InputError
            If other is no problem.
        """
        instance("other", other, Problem, "Problem(x, y) or meanfield.datasets")
        mine, theirs = (problem.described()["standardisation"] for problem in (self, other))
        return self.fingerprint == other.fingerprint and bool(mine == theirs)

    def loss(self, output: NDArray[np.float64]) -> float:
        """Loss ``R = (1/n) sum_i l(f(x_i), y_i)`` of outputs on the samples, shape (n,).

        For the mean square this is ``(1/2n) sum_i (f(x_i) - y_i)**2``.

        Parameters
        ----------
        output : ndarray, shape (n,) or (n, c)
            Outputs of a network on the samples, in the units of ``y``, as the network gives them.

        Returns
        -------
        float
            Of the mean square and the Huber loss in the square of these units, else a number.
        """
        return mean_loss(self.loss_function, self._outputs(output), self.y)

    def accuracy(self, output: NDArray[np.float64]) -> float:
        """Share of the samples on the right side.

        The right side is an output with the sign of the label, or an output of its class above all others.

        Parameters
        ----------
        output : ndarray, shape (n,) or (n, c)
            Outputs of a network on the samples.

        Returns
        -------
        float
            From 0 to 1. An output of zero counts as wrong.

        Raises
        ------
        InputError
            If the loss has no labels.
        """
        return float(np.mean(self._signed(output) > 0.0))

    def margin(self, output: NDArray[np.float64]) -> float:
        """The least ``y_i f(x_i)`` of outputs on the samples.

        Of classes it is the least distance of the output of the class from the largest other one.

        Parameters
        ----------
        output : ndarray, shape (n,) or (n, c)
            Outputs of a network on the samples.

        Returns
        -------
        float
            Positive if every sample is on the right side. It grows with the weights; the ``margin`` of a
            :class:`~meanfield.Trajectory` does not.

        Raises
        ------
        InputError
            If the loss has no labels.
        """
        return float(np.min(self._signed(output)))

    def _signed(self, output: NDArray[np.float64]) -> NDArray[np.float64]:
        """By how much each sample is on the right side, shape (n,)."""
        if not self.loss_function.labels:
            raise InputError(
                f"the loss is {self.loss_function.name}, whose targets are no labels; give a Problem with "
                "loss='logistic' or 'cross-entropy'"
            )
        f = self._outputs(output)
        if f.ndim == 1:
            return f * self.y
        others = np.where(self.y == 1.0, -np.inf, f)
        return np.asarray(np.sum(np.where(self.y == 1.0, f, 0.0), axis=1) - others.max(axis=1))

    def _outputs(self, output: NDArray[np.float64]) -> NDArray[np.float64]:
        values = real_array("output", output)
        if values.shape != self.y.shape:
            each = "one value per sample" if self.y.ndim == 1 else "a row per sample"
            raise InputError(f"output has shape {values.shape}; give {each}, shape {self.y.shape}")
        return values

    def to_target_units(self, values: ArrayLike) -> NDArray[np.float64]:
        """Turn outputs or targets as the network has them into the user's units.

        Parameters
        ----------
        values : array_like
            Outputs or targets in the units of ``y``, of any shape (...); what is nan or infinite stays so.

        Returns
        -------
        ndarray, shape (...)
            The same in the units of the user's targets.

        Raises
        ------
        InputError
            If values are not real numbers.

        Examples
        --------
        >>> problem = Problem([1.0, 2.0], [10.0, 30.0], standardise_targets=True)
        >>> problem.y, problem.to_target_units(problem.y)
        (array([-1.,  1.]), array([10., 30.]))
        """
        units, array = self.standardisation, real_array("values", values, finite=False)
        return array if units is None else units.inverse_transform_targets(array)

    def inputs(self, x: ArrayLike) -> NDArray[np.float64]:
        """Read a user's new inputs, in the user's units, as an array of shape (k, d_in).

        Parameters
        ----------
        x : array_like or data frame, shape (k,) or (k, d_in)
            Inputs as the user gives them, without a bias column. Columns of a data frame may have any order;
            a row of it (a series with the names of the features) is one point.

        Returns
        -------
        ndarray, shape (k, d_in)
            In the user's units, with the columns in the order of the problem's features.

        Raises
        ------
        InputError
            If the number of features differs from the problem's, or a column is missing or unknown.
        """
        table = read_table("x", x)
        if self.feature_names is not None:
            table = table.in_order_of(self.feature_names)
        points = table.inputs()
        if points.shape[1] != self.d_in:
            one = table.values.ndim == 1 and len(points) == self.d_in
            raise InputError(
                f"x has {points.shape[1]} features but the problem has {self.d_in}; "
                f"give points of shape (k, {self.d_in})"
                + (f", a single one as (1, {self.d_in})" if one else "")
            )
        return points

    def with_bias(self, x: ArrayLike) -> NDArray[np.float64]:
        """Turn a user's new inputs into rows as the network sees them: standardised, with the bias.

        Parameters
        ----------
        x : array_like or data frame, shape (k,) or (k, d_in)
            Inputs in the user's units, as :meth:`inputs` takes them.

        Returns
        -------
        ndarray, shape (k, d)

        Raises
        ------
        InputError
            If the number of features differs from the problem's, or a column is missing or unknown.
        """
        points = self.inputs(x)
        if self.standardisation is not None:
            points = self.standardisation.transform(points)
        return np.column_stack([points, np.ones(len(points))]) if self.bias else points

    def _repr_html_(self) -> str:
        low, high = self.features.min(axis=0), self.features.max(axis=0)
        rows = {
            "samples": self.n,
            "features": self.d_in if self.feature_names is None else ", ".join(self.feature_names[:8]),
            "d": f"{self.d} (bias included)" if self.bias else f"{self.d} (no bias)",
            "rank": self.rank,
            "inputs": f"from {low.min():.4g} to {high.max():.4g}",
            "outputs": self.outputs if self.outputs > 1 else None,
            "targets": f"from {self.targets.min():.4g} to {self.targets.max():.4g}",
            "loss": self.loss_function.name,
            "loss of zero": self.zero_loss,
        }
        return displays.card(f"Problem {self.name!r}", rows, self.far_from_zero)

    def __repr__(self) -> str:
        loss = "" if self.loss_function == MEAN_SQUARE else f", loss={self.loss_function.name!r}"
        outputs = f", outputs={self.outputs}" if self.outputs > 1 else ""
        return f"<Problem {self.name!r}: n={self.n}, d={self.d}, bias={self.bias}{outputs}{loss}>"


def check_mean_square(problem: Problem, what: str) -> None:
    """Refuse a problem with another loss where the answer would be for the mean square.

    Parameters
    ----------
    problem : Problem
        The data.
    what : str
        What is for the mean square only, as the subject of a sentence.
    """
    instance("problem", problem, Problem, "Problem(x, y) or meanfield.datasets")
    if problem.outputs > 1:
        raise InputError(
            f"{what} for one output only, but the problem has {problem.outputs}; train networks "
            "with gradient_flow"
        )
    if problem.loss_function != MEAN_SQUARE:
        raise InputError(
            f"{what} for the mean square only, but the loss is {problem.loss_function.name}; train networks "
            "with gradient_flow, or give a Problem with loss='mean-square'"
        )


def _targets_of(loss: Loss, y: NDArray[np.float64]) -> NDArray[np.float64]:
    """The targets that a loss takes, shape (n,) or (n, c)."""
    if y.ndim == 2 and loss.labels and not loss.several:
        raise InputError(
            f"y has shape {y.shape}, but the loss {loss.name!r} is for the labels of two classes, shape "
            "(n,); give these, or loss='cross-entropy' for one-hot rows"
        )
    y = y if loss.targets is None else loss.targets(y)
    if not is_known(loss) and y.ndim == 1:
        check_own(loss, y)
    return y
