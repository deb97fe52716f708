"""Exact solutions and laws as objects: a symbol, its formula, its source, and what vanishes if it is true."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from meanfield.symbolic.arc_cosine import arc_cosine, theta
from meanfield.symbolic.flow import kappa, kappa_prime

LUO = "Luo, Xu, Ma, Zhang (2021)"
CHO = "Cho, Saul (2009)"
DERIVED = "derived here"

width, n, d = sp.symbols("m n d", positive=True)
x, y = sp.symbols("x y", positive=True)  # length of the input and target, in problems of one sample
time = sp.Symbol("s", positive=True)  # canonical time kappa tbar
impulse = sp.Symbol("tau", positive=True)
_LATEX = {
    kappa_prime: r"\kappa'",
    sp.Symbol("RD_w"): r"\mathrm{RD}_w",
    sp.Symbol("RD_a"): r"\mathrm{RD}_a",
    sp.Symbol("s_esc"): r"s_\mathrm{esc}",
}
#: Characters of LaTeX, above which a sum is set in several lines, and those of such a line.
_ONE_LINE, _PER_LINE = 300, 130


@dataclass(frozen=True)
class ClosedForm:
    """A formula with what it takes to trust it.

    Attributes
    ----------
    name : str
    equation : Eq
        Symbol on the left, formula on the right.
    source : str
        Where it comes from.
    derivation : str
        How it follows, in a sentence or two, in Markdown with formulas between dollar signs.
    checks : tuple of Expr
        Expressions that are zero if the formula is right, such as a differential equation's defect.
    """

    name: str
    equation: sp.Eq
    source: str
    derivation: str
    checks: tuple[sp.Expr, ...]

    @property
    def symbol(self) -> sp.Basic:
        """What is given."""
        return self.equation.lhs

    @property
    def formula(self) -> sp.Expr:
        """Its value."""
        return self.equation.rhs

    def latex(self) -> str:
        """The equation as LaTeX; long sums are set in several lines."""
        text = str(sp.latex(self.equation, symbol_names=_LATEX))
        if len(text) <= _ONE_LINE:
            return text
        terms = sp.Add.make_args(sp.expand_mul(self.formula, deep=False))
        left, *parts = (sp.latex(part, symbol_names=_LATEX) for part in (self.symbol, *terms))
        lines = parts[:1]
        for part in parts[1:]:
            signed = part if part.startswith("-") else f"+ {part}"
            if len(lines[-1]) + len(signed) > _PER_LINE:
                lines.append(signed)
            else:
                lines[-1] += f" {signed}"
        return rf"\begin{{aligned}} {left} = {{}} & " + r" \\ & ".join(lines) + r" \end{aligned}"

    def holds(self) -> bool:
        """Whether SymPy simplifies every check to zero."""
        return all(sp.simplify(check) == 0 for check in self.checks)


def _form(name: str, left: sp.Basic, right: sp.Expr, source: str, why: str, *checks: sp.Expr) -> ClosedForm:
    return ClosedForm(name, sp.Eq(left, right, evaluate=False), source, why, checks)


@lru_cache(maxsize=1)
def kernels() -> tuple[ClosedForm, ClosedForm]:
    """Arc-cosine kernels of order 0 and 1 for inputs x, x' at angle theta.

    Their checks tie the two together: kernels of consecutive degrees obey, with k the kernel for unit
    vectors, k_1' = -sin(theta) k_0, because the derivative of relu is the step function.

    Examples
    --------
    >>> [form.holds() for form in kernels()]
    [True, True]
    """
    zero, one = arc_cosine(0), arc_cosine(1)
    tie = sp.diff(one, theta) + sp.sin(theta) * zero
    length, other = sp.symbols("|x| |x'|", positive=True)
    polar = "for standard normal $w$; polar coordinates in the plane of the inputs"
    return (
        _form(
            "arc-cosine kernel of order 0", sp.Symbol("k_0"), zero, CHO,
            rf"$E[\sigma'(w \cdot x)\, \sigma'(w \cdot x')]$ {polar}", tie, zero.subs(theta, sp.pi),
        ),
        _form(
            "arc-cosine kernel of order 1", sp.Symbol("k_1"), length * other * one, CHO,
            rf"$E[\sigma(w \cdot x)\, \sigma(w \cdot x')]$ {polar}", tie,
            one.subs(theta, 0) - sp.Rational(1, 2),
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class LinearRegime:
    """The law of the linear regime for n samples, written out with symbolic kernel matrices.

    Attributes
    ----------
    G_a, G_w : Matrix
        E[relu(w.x_i) relu(w.x_j)] and (x_i.x_j) E[relu' relu'].
    M : Matrix
        The kernel G_a / kappa' + kappa' G_w.
    initial : Matrix
        The residual at time 0.
    impulse : Matrix
        The integral of the residual over tbar, from start to end.
    """

    G_a: sp.Matrix
    G_w: sp.Matrix
    M: sp.Matrix
    initial: sp.Matrix
    impulse: sp.Matrix

    @classmethod
    def of(cls, samples: int = 1) -> LinearRegime:
        """Solve for the impulse: integrating e' = -(m kappa^2 / n) M e from e(0) to 0."""
        G_a, G_w = (_symmetric(name, samples) for name in ("g_a", "g_w"))
        M = G_a / kappa_prime + kappa_prime * G_w
        initial = -sp.Matrix(sp.symbols(f"y_1:{samples + 1}", positive=True))
        rate = width * kappa**2 / samples
        return cls(G_a, G_w, M, initial, (rate * M).LUsolve(initial))

    def rd_w_squared(self) -> sp.Expr:
        """E|Delta w|^2 / E|w|^2: w_k moves by -(kappa kappa'/n) a_k sum_i I_i relu'(w_k.x_i) x_i."""
        rate = kappa * kappa_prime / len(self.initial)
        return (rate**2 * self.impulse.T * self.G_w * self.impulse)[0, 0] / d

    def rd_a_squared(self) -> sp.Expr:
        """E|Delta a|^2 / E|a|^2: a_k moves by -(kappa/(kappa' n)) sum_i I_i relu(w_k.x_i)."""
        rate = kappa / (kappa_prime * len(self.initial))
        return (rate**2 * self.impulse.T * self.G_a * self.impulse)[0, 0]


def _symmetric(name: str, size: int) -> sp.Matrix:
    entries = [
        [sp.Symbol(f"{name}{min(i, j)}{max(i, j)}", positive=True) for j in range(size)] for i in range(size)
    ]
    return sp.Matrix(entries)


def _exponential_checks() -> tuple[sp.Expr, ...]:
    """That exp(-t A) solves e' = -A e, for any symmetric 2 x 2 matrix (its mean eigenvalue and the rest)."""
    t = sp.Symbol("t", positive=True)
    mean, u, v = sp.symbols("mean u v", real=True)
    rest = sp.Matrix([[u, v], [v, -u]])
    root = sp.sqrt(u**2 + v**2)
    flow = sp.exp(-mean * t) * (sp.cosh(root * t) * sp.eye(2) - sp.sinh(root * t) / root * rest)
    defect = sp.diff(flow, t) + (mean * sp.eye(2) + rest) * flow
    return (*defect, *(flow.subs(t, 0) - sp.eye(2)))


@lru_cache(maxsize=1)
def linear_regime() -> tuple[ClosedForm, ...]:
    """Residual and displacement laws of the linear regime in matrix form, checked for two samples.

    Examples
    --------
    >>> [form.name for form in linear_regime()]
    ['residual of the linear regime', 'RD_w of the linear regime', 'RD_a of the linear regime']
    """
    written = LinearRegime.of(2)
    tbar = sp.Symbol(r"\bar{t}", positive=True)
    M, G_w, G_a = (sp.Symbol(name, commutative=False) for name in ("M", "G^w", "G^a"))
    start, target, target_t = (sp.Symbol(name, commutative=False) for name in ("e(0)", "y", "y^T"))
    solved = written.M.inv() * written.initial
    unit = 1 / (width * kappa)
    rd_w = (kappa_prime * unit) ** 2 / d * (solved.T * written.G_w * solved)[0, 0]
    rd_a = (unit / kappa_prime) ** 2 * (solved.T * written.G_a * solved)[0, 0]
    return (
        _form(
            "residual of the linear regime", sp.Symbol("e", commutative=False),
            sp.exp(-width * kappa**2 / n * M * tbar) * start, DERIVED,
            "sums over the $m$ neurons are $m$ times expectations, which do not change while nothing moves",
            *_exponential_checks(),
        ),
        _form(
            "RD_w of the linear regime", sp.Symbol("RD_w"),
            kappa_prime / (width * kappa) * sp.sqrt(target_t * M**-1 * G_w * M**-1 * target / d), DERIVED,
            "the weights integrate the residual, whose integral over "
            r"$\bar t$ is $M^{-1} e(0)\, n / (m \kappa^2)$",
            rd_w - written.rd_w_squared(),
        ),
        _form(
            "RD_a of the linear regime", sp.Symbol("RD_a"),
            1 / (kappa_prime * width * kappa) * sp.sqrt(target_t * M**-1 * G_a * M**-1 * target), DERIVED,
            r"the same, with the rate $1/\kappa'$ of the output layer", rd_a - written.rd_a_squared(),
        ),
    )  # fmt: skip


@lru_cache(maxsize=1)
def balanced_mode() -> ClosedForm:
    """Growth of a balanced linear mode from u0 to its target.

    Examples
    --------
    >>> balanced_mode().holds()
    True
    """
    u0, t = sp.symbols("u_0 t", positive=True)
    u = y * sp.exp(2 * y * t) / (sp.exp(2 * y * t) - 1 + y / u0)
    return _form(
        "balanced linear mode", sp.Symbol("u"), u, "Saxe, McClelland, Ganguli (2014)",
        "$u' = 2 u (y - u)$, with $t = x s$ for one sample and one neuron with $|p| = |q|$",
        sp.diff(u, t) - 2 * u * (y - u), u.subs(t, 0) - u0, sp.limit(u.subs(y, 1), t, sp.oo) - 1,
    )  # fmt: skip


@lru_cache(maxsize=1)
def early_stage() -> tuple[ClosedForm, ClosedForm]:
    """Growth rate of a neuron while the output is negligible, and the time at which it no longer is.

    Examples
    --------
    >>> [form.holds() for form in early_stage()]
    [True, True]
    """
    D = sp.Matrix(sp.symbols("D_1 D_2", real=True))
    length = sp.Symbol("|D|", positive=True)
    # In a cone of constant activation: p' = D.q, q' = p D
    matrix = sp.zeros(3)
    matrix[0, 1:], matrix[1:, 0] = D.T, D
    lam = sp.Symbol("lambda", real=True)
    characteristic = (lam * sp.eye(3) - matrix).det()
    rate_squared = (D.T * D)[0, 0]
    # Growing part of (p, q along D) is (p + q)/2 in both; its mean square is (kappa' + 1/kappa')/4.
    growing = (kappa_prime + 1 / kappa_prime) / 4
    escape = sp.log(sp.simplify(1 / (width * kappa * growing))) / (2 * length)
    return (
        _form(
            "early growth rate", sp.Symbol("lambda"), length, DERIVED,
            r"with $e = -y$ each neuron obeys $\dot p = D \cdot q$, $\dot q = p D$ in its cone, $D$ the sum "
            r"of $y_i x_i / n$ over the active samples; the eigenvalues are $0$ and $\pm |D|$",
            sp.expand(characteristic - lam * (lam**2 - rate_squared)),
        ),
        _form(
            "escape time", sp.Symbol("s_esc"), escape, DERIVED,
            r"the coherent output $m \kappa E[p q]$ grows from the mean square of the growing mode like "
            r"$\exp(2 |D| s)$; it is of order one at $s_\mathrm{esc} + O(1)$",
            sp.expand(width * kappa * growing * sp.exp(2 * length * escape)) - 1,
        ),
    )  # fmt: skip
