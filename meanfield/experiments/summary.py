"""What was run, in words: for the methods section of a paper, and for a look at a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from meanfield.activations import RELU
from meanfield.arguments import instance
from meanfield.experiments.cells import CellResult, CellSettings
from meanfield.experiments.diagram import PhaseDiagram
from meanfield.experiments.durations import duration
from meanfield.experiments.limit_points import LimitResult, LimitSettings
from meanfield.experiments.origin import Origin
from meanfield.experiments.store import SweepStore
from meanfield.losses import MEAN_SQUARE

#: The number from which on one is not written out.
_WRITTEN = 1e9


def methods_text(diagram: PhaseDiagram) -> str:
    """A paragraph that says what was run, with which versions and seeds, and how long it took.

    Parameters
    ----------
    diagram : PhaseDiagram
        A measured diagram.

    Returns
    -------
    str

    Examples
    --------
    >>> import meanfield as mf
    >>> diagram = mf.phase_diagram(
    ...     mf.datasets.four_points(), gamma=[0.5, 1.5], gamma_prime=[0.0], widths=[20, 40], seeds=2
    ... )
    >>> print(methods_text(diagram).split("; ")[0])
    Phase diagram of four points (n = 4 samples, d = 2, bias included): 2 scalings (gamma = 0.5, 1.5
    """
    instance("diagram", diagram, PhaseDiagram, "meanfield.phase_diagram")
    problem, scalings = diagram.problem, len(diagram.gamma) * len(diagram.gamma_prime)
    bias = "bias included" if problem.bias else "no bias"
    place = (
        f"Phase diagram of {problem.name} (n = {problem.n} samples, d = {problem.d}, {bias}): "
        f"{scalings} scalings (gamma = {_listed(diagram.gamma)}; gamma' = {_listed(diagram.gamma_prime)})"
    )
    if isinstance(diagram.settings, LimitSettings):
        return f"{place}, scales m = {_listed(diagram.widths)}. {_limits(diagram, diagram.settings)}"
    return " ".join(
        [
            f"{place}, {_ensemble(diagram.widths, diagram.seeds.tolist(), diagram.settings)}.",
            _runs([one for one in diagram.results if isinstance(one, CellResult)], diagram.settings),
            f"{diagram.missing} networks of the grid are missing." if diagram.missing else "",
            _software(diagram.origins),
        ]
    ).replace("  ", " ")


def store_text(store: SweepStore) -> str:
    """What a store holds, as a page of text.

    Parameters
    ----------
    store : SweepStore
        An open store.

    Returns
    -------
    str
    """
    instance("store", store, SweepStore, "SweepStore.open")
    records = list(store.records())
    results = [record.result for record in records]
    lines = [f"{store.path}: {len(records)} cells, {store.path.stat().st_size / 1e3:.0f} kB"]
    problem = store.problem
    lines.append(
        f"problem     {store.problem_name}"
        + (
            ""
            if problem is None
            else f": {problem.n} samples, d = {problem.d}{'' if problem.bias else ' (no bias)'}"
        )
        + f"; sha256 {store.fingerprint[:16]}"
    )
    lines.append(
        "settings    " + ", ".join(f"{name} = {value}" for name, value in store.settings.described().items())
    )
    if records:
        axes = {
            name: np.unique([getattr(result.cell, name) for result in results])
            for name in ("gamma", "gamma_prime", "width", "seed")
        }
        lines += [f"{name:<11} {_listed(values)}" for name, values in axes.items()]
        whole = int(np.prod([len(values) for values in axes.values()]))
        if whole != len(records):
            lines.append(f"            {len(records)} of the {whole} cells of that grid")
        status = Counter(result.status for result in results)
        lines.append("status      " + ", ".join(f"{count} {name}" for name, count in status.most_common()))
        first, last = (extreme(record.finished for record in records) for extreme in (min, max))
        seconds = sum(result.seconds for result in results)
        lines.append(f"time        {duration(seconds)} of computation, finished from {first} to {last}")
        for origin, count in Counter(record.origin for record in records).most_common():
            lines.append(f"computed    {count} on {origin.host} ({origin.system}): {origin.software}")
    return "\n".join(lines)


def _ensemble(widths: Iterable[float], seeds: Collection[int], settings: CellSettings) -> str:
    neurons = "neurons in each of two twin halves" if settings.per_half else "neurons"
    twins = "antisymmetric initialisation" if settings.antisymmetric else "independent neurons"
    what = "" if settings.activation == RELU else f"{settings.activation.name} activations, "
    what += "" if settings.beta2 is None else f"beta2 = {settings.beta2:g}, "
    return (
        f"{what}widths m = {_listed(widths)} ({neurons}, {twins}), {len(seeds)} random draws each (seeds "
        f"{_listed(seeds)} below root {settings.entropy})"
    )


def _runs(results: Sequence[CellResult], settings: CellSettings) -> str:
    return (
        f"{len(results)} networks were trained by gradient flow to {_loss(settings)} <= "
        f"{settings.loss_atol:.3g} with relative tolerance {settings.rtol:g}: {_ends(results)}; "
        f"{duration(sum(result.seconds for result in results))} of computation in all."
    )


def _limits(diagram: PhaseDiagram, settings: LimitSettings) -> str:
    sources = Counter(one.source for one in diagram.results if isinstance(one, LimitResult))
    nodes = "quadrature nodes" if settings.nodes is None else f"{settings.nodes} quadrature nodes"
    return (
        "No network was drawn: the dynamics of infinitely many neurons at these scales were computed to R = "
        f"(1/2n) sum (f - y)^2 <= {settings.loss_atol:.3g}, {sources['kernel']} times by the closed form of "
        f"the kernel regime and {sources['mean-field']} times by gradient flow of {nodes}: "
        f"{_ends(diagram.results)}."
    )


def _ends(results: Sequence[CellResult | LimitResult]) -> str:
    converged = sum(result.converged for result in results)
    rested = sum(result.finished for result in results) - converged
    stopped = len(results) - converged - rested
    return f"{converged} reached it, {rested} came to rest above it, {stopped} were stopped"


def _loss(settings: CellSettings) -> str:
    plain = settings.loss == MEAN_SQUARE.name
    return "R = (1/2n) sum (f - y)^2" if plain else f"a mean {settings.loss} loss"


def _software(origins: Sequence[Origin]) -> str:
    machines = sorted({origin.system for origin in origins})
    versions = sorted({origin.software for origin in origins})
    return f"Computed with {'; and '.join(versions)} on {', '.join(machines)}." if origins else ""


def _listed(values: Iterable[float]) -> str:
    """Numbers as a reader would write them: in full if few, by ends and count if many.

    Examples
    --------
    >>> _listed([1, 2, 5]), _listed([-1.11e-16, 0.1]), _listed(range(20))
    ('1, 2, 5', '0, 0.1', '0 to 19 (20 values)')
    """
    plain = [round(value, 9) for value in values]  # without the errors of rounding
    whole = [value == int(value) and abs(value) < _WRITTEN for value in plain]
    texts = [f"{int(value)}" if one else f"{value:g}" for value, one in zip(plain, whole, strict=True)]
    return ", ".join(texts) if len(texts) <= 13 else f"{texts[0]} to {texts[-1]} ({len(texts)} values)"
