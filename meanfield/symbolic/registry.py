"""Every formula that the documentation states: where it comes from, the object, the numbers, the test."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp

from meanfield.symbolic import closed_forms, extremes, flow, one_sample, parametrisations
from meanfield.symbolic.network import LawName, TwoLayer
from meanfield.symbolic.power_counting import derive_exponents
from meanfield.symbolic.result import LATEX_NAMES

LATEX = {**LATEX_NAMES, flow.kappa_prime: r"\kappa'"}


class Standing(enum.Enum):
    """How far a statement is secured."""

    #: SymPy reduces an identity to zero; no limit is involved.
    PROVEN = "proven"
    #: Follows by power counting: terms are compared by their order, constants are not followed.
    DERIVED = "derived"


@dataclass(frozen=True)
class Claim:
    """One statement of the theory.

    Attributes
    ----------
    name : str
    source : str
    standing : Standing
    render : callable
        Gives the LaTeX of the statement, from the object that computes it.
    numeric : str or None
        Dotted name of the function of the package that computes it with numbers.
    test : str
        The test that could fail, as ``file::class::test`` below ``tests/``.
    note : str
        How it follows and what its letters mean, in a sentence.
    """

    name: str
    source: str
    standing: Standing
    render: Callable[[], str]
    numeric: str | None
    test: str
    note: str = ""


def claims() -> tuple[Claim, ...]:
    """All claims, in the order of the documentation.

    Examples
    --------
    >>> claims()[0].name, claims()[0].standing.value
    ('normalised flow', 'proven')
    """
    return (*_flow_claims(), *_power_counting_claims(), *_closed_form_claims())


def _flow_claims() -> tuple[Claim, ...]:
    def units() -> str:
        found = flow.normalisation()
        scales = ", ".join(f"{sp.latex(k)} = {sp.latex(v)}" for k, v in found.scales.items())
        kappa, ratio = sp.latex(found.prefactor), sp.latex(sp.sqrt(found.rate_w / found.rate_a))
        f, a, w = (
            sp.latex(factor, symbol_names=LATEX)
            for factor in (found.in_kappa().prefactor, found.in_kappa().rate_a, found.in_kappa().rate_w)
        )
        return (
            rf"\begin{{gathered}} {scales}:\quad \kappa = {kappa},\ \kappa' = {ratio}, \\ "
            rf"f = {f} \sum_k \bar a_k \sigma(\bar w_k \cdot x), \\ "
            rf"\frac{{d \bar a_k}}{{d \bar t}} = -{a} \frac1n \sum_i e_i \sigma(\bar w_k \cdot x_i), \\ "
            rf"\frac{{d \bar w_k}}{{d \bar t}} = -{w} \frac1n \sum_i e_i \bar a_k "
            r"\sigma'(\bar w_k \cdot x_i) x_i \end{gathered}"
        )

    def canonical_units() -> str:
        found = flow.canonical()
        spreads = found.in_kappa()
        scales = ", ".join(f"{sp.latex(k)} = {sp.latex(v)}" for k, v in found.scales.items())
        a, w = (sp.latex(s**2, symbol_names=LATEX) for s in (spreads.spread_a, spreads.spread_w))
        return rf"{scales}:\quad p(0) \sim N(0, {a}),\ q(0) \sim N(0, {w} I)"

    def conserved() -> str:
        small = flow.TwoLayerFlow(1, 1, 1)
        names = {small.a[0]: "p", small.w[0][0]: "|q|"}
        return rf"{sp.latex(flow.conserved(small), symbol_names=names)} = \mathrm{{const}}"

    def energy() -> str:
        return rf"\frac{{dR}}{{ds}} + \kappa \sum_k (\dot p_k^2 + |\dot q_k|^2) = {flow.energy_balance()}"

    return (
        Claim("normalised flow", closed_forms.LUO, Standing.PROVEN, units,
              "meanfield.scaling.Scaling", "test_symbolic_flow.py::TestNormalisation::test_scales_are_found"),
        Claim("canonical coordinates", closed_forms.DERIVED, Standing.PROVEN, canonical_units,
              "meanfield.flow.system.CanonicalSystem",
              "test_symbolic_flow.py::TestNormalisation::test_canonical_units_are_found"),
        Claim("conservation law of a neuron", "Du, Hu, Lee (2018)", Standing.PROVEN, conserved,
              None, "test_symbolic_flow.py::TestLaws::test_conservation"),
        Claim("energy law", "gradient flow", Standing.PROVEN, energy, None,
              "test_symbolic_flow.py::TestLaws::test_energy"),
    )  # fmt: skip


def _power_counting_claims() -> tuple[Claim, ...]:
    theory = "test_symbolic.py::TestTheMap::"
    saturation = "test_symbolic.py::TestSaturation::test_exponents_stop_at_one_half"

    def line(regime: bool) -> str:
        lines = [b for b in derive_exponents().boundaries if b.regime is regime]
        text = [
            sp.latex(b.equation, symbol_names=LATEX)
            + r"\ ("
            + sp.latex(b.condition, symbol_names=LATEX)
            + ")"
            for b in lines
        ]
        return r",\quad ".join(text)

    def powers(law: LawName) -> str:
        return r",\quad ".join(derive_exponents(TwoLayer(homogeneity=r, law=law)).latex() for r in (2, 3))

    def saturated() -> str:
        return derive_exponents(TwoLayer(zero_initial_output=False)).latex()

    return (
        Claim("exponent of RD_w", f"sign: {closed_forms.LUO}; map: {closed_forms.DERIVED}", Standing.DERIVED,
              lambda: derive_exponents().latex(), "meanfield.regime.exponents",
              theory + "test_equals_the_map_by_hand_in_every_region"),
        Claim("exponent of RD_a", closed_forms.DERIVED, Standing.DERIVED,
              lambda: derive_exponents().latex("a"), "meanfield.regime.exponents",
              theory + "test_layers_are_exchanged_by_the_sign_of_gamma_prime"),
        Claim("boundaries of the regimes", closed_forms.LUO, Standing.DERIVED, lambda: line(True),
              "meanfield.regime.boundary_gamma", theory + "test_lines"),
        Claim("further lines", closed_forms.DERIVED, Standing.DERIVED, lambda: line(False), None,
              theory + "test_lines"),
        Claim("without antisymmetric initialisation", closed_forms.DERIVED, Standing.DERIVED, saturated,
              "meanfield.regime.exponents", saturation),
        Claim("powers of ReLU, Gaussian weights", closed_forms.DERIVED, Standing.DERIVED,
              lambda: powers("gaussian"), None, "test_symbolic_extremes.py::TestNodes::test_slopes"),
        Claim("powers of ReLU, discrete weights", closed_forms.DERIVED, Standing.DERIVED,
              lambda: powers("discrete"), None,
              "test_symbolic.py::TestOtherNetworks::test_powers_of_relu_against_an_integration"),
        Claim("blow-up of a share of the neurons", closed_forms.DERIVED, Standing.DERIVED,
              lambda: "S_w = " + sp.latex(extremes.share_that_blows_up(), symbol_names=LATEX), None,
              "test_symbolic_extremes.py::TestBetween::test_circle",
              r"shares $h^\beta$ of the neurons within a share $h$ of the shortest time; for "
              r"$\gamma' \geq 0$, $\beta < 2/(r - 1)$ and "
              r"$1 \leq \gamma - \gamma' \leq (r + 1)/(\beta (r - 1))$"),
        Claim("feature exponent of abc parametrisations", "Yang, Hu (2021)", Standing.DERIVED,
              lambda: "r = " + sp.latex(parametrisations.published_feature_exponent()), None,
              "test_symbolic_parametrisations.py::TestFeatureExponent::test_is_minus_S_w_on_the_linear_side"),
    )  # fmt: skip


def _closed_form_claims() -> tuple[Claim, ...]:
    test = "test_symbolic_closed_forms.py::"
    kernels = test + "TestKernels::test_against_sampling_free_integration"
    linear = test + "TestLinearRegime::test_law_against_the_numeric_one"
    sample = test + "TestOneSample::"
    growth = test + "TestGrowth::test_checks"
    proven, derived = Standing.PROVEN, Standing.DERIVED
    law = "meanfield.kernel_law.DisplacementLaw"
    groups = (
        (closed_forms.kernels(), proven, "meanfield.arc_cosine.arc_cosine_kernels", kernels),
        (closed_forms.linear_regime(), derived, law, linear),
        (one_sample.linear(), proven, None, sample + "test_linear_exponents_are_the_map"),
        (one_sample.relu(), derived, None, sample + "test_relu_exponents_are_the_map"),
        (closed_forms.early_stage()[:1], proven, None, growth),
        (closed_forms.early_stage()[1:], derived, None, growth),
        ((closed_forms.balanced_mode(),), proven, None, growth),
    )
    return tuple(
        Claim(form.name, form.source, standing, form.latex, numeric, test_id, form.derivation)
        for forms, standing, numeric, test_id in groups
        for form in forms
    )
