"""Scalings: the schemes' table, laws in every form, the abc map, time, and hostile expressions."""

import math
import pickle
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meanfield.errors import InputError
from meanfield.laws import parse_law
from meanfield.regime import Regime
from meanfield.scaling import SCHEME_LABELS, SCHEMES, PowerLaw, Scaling

EXPONENT = st.floats(-3.0, 3.0)


class TestSchemes:
    @pytest.mark.parametrize(
        ("scheme", "gamma", "gamma_prime", "regime"),
        [
            ("LeCun", 0.5, 0.5, Regime.LINEAR),
            ("He", 0.5, 0.5, Regime.LINEAR),
            ("kaiming", 0.5, 0.5, Regime.LINEAR),
            ("Xavier", 1.0, 0.0, Regime.CRITICAL),
            ("glorot", 1.0, 0.0, Regime.CRITICAL),
            ("NTK", 0.5, 0.0, Regime.LINEAR),
            (" mean-field ", 1.0, 0.0, Regime.CRITICAL),
            ("mean_field", 1.0, 0.0, Regime.CRITICAL),
        ],
    )
    def test_exponents_of_the_papers_table(self, scheme, gamma, gamma_prime, regime):
        scaling = Scaling.named(scheme)
        assert (scaling.gamma, scaling.gamma_prime) == (gamma, gamma_prime)  # exactly
        assert scaling.regime is regime

    @pytest.mark.parametrize("b", [0.0, 0.25, 0.5, 1.0, 2.0, 5.0, 50.0, -1.0])
    def test_e_ma_wu(self, b):
        scaling = Scaling.named("e-ma-wu", b=b)
        assert (scaling.gamma, scaling.gamma_prime) == (b, b)
        assert scaling.kappa(3) == pytest.approx(3.0**-b)

    @pytest.mark.parametrize(
        ("scheme", "kappa", "kappa_prime"),
        [
            # m = 50, d = 3, by hand from the table alpha, beta1, beta2
            ("lecun", math.sqrt(1 / 50) * math.sqrt(1 / 3), math.sqrt(3 / 50)),
            ("he", math.sqrt(2 / 50) * math.sqrt(2 / 3), math.sqrt(3 / 50)),
            ("xavier", 2 / math.sqrt(51 * 53), math.sqrt(53 / 51)),
            ("ntk", 1 / math.sqrt(50), 1.0),
            ("mean-field", 1 / 50, 1.0),
        ],
    )
    def test_scales_at_one_width_by_hand(self, scheme, kappa, kappa_prime):
        scaling = Scaling.named(scheme)
        assert scaling.kappa(50, 3) == pytest.approx(kappa, rel=1e-14)
        assert scaling.kappa_prime(50, 3) == pytest.approx(kappa_prime, rel=1e-14)

    def test_every_scheme_has_a_label(self):
        assert set(SCHEMES) == set(SCHEME_LABELS)

    def test_the_dimension_is_asked_for_where_it_matters(self):
        assert Scaling.named("ntk").kappa(100) == pytest.approx(0.1)
        with pytest.raises(InputError, match=r"scaling 'He' depends on the input dimension; give d"):
            Scaling.named("he").kappa(100)

    def test_unknown_name(self):
        with pytest.raises(InputError, match=r"no scheme is called 'nkt'; choose one of lecun, he, .*ntk"):
            Scaling.named("nkt")

    def test_exponent_b_only_where_it_belongs(self):
        with pytest.raises(InputError, match=r"'e-ma-wu' has a free exponent .*; give b"):
            Scaling.named("e-ma-wu")
        with pytest.raises(InputError, match=r"'ntk' has no free exponent; leave b out"):
            Scaling.named("ntk", b=1.0)


#: Standard deviations of what other libraries drew, seed 0, fan-in 9 without the bias. For each scheme:
#: neurons, input weights, neurons, output weights. PyTorch 2.13.0 by
#:   torch.manual_seed(0)
#:   torch.nn.Linear(9, 400_000), its .weight and .bias; torch.nn.Linear(2_000_000, 1).weight
#:   torch.nn.init.kaiming_normal_(torch.empty(400_000, 9), nonlinearity="relu"), and so on
#:   torch.cat([torch.nn.init.xavier_normal_(torch.empty(12, 9)) for _ in range(20_000)])
#: JAX 0.10.2 and Keras 3.15.1 (the same numbers) by
#:   jax.nn.initializers.he_normal()(jax.random.key(0), (9, 400_000)), and so on
#:   jax.vmap(lambda key: glorot_uniform()(key, (9, 12)))(jax.random.split(jax.random.key(0), 20_000))
#:   keras.layers.Dense(400_000).build((None, 9)): glorot_uniform, and a bias of zeros
DRAWN = {
    ("PyTorch nn.Linear", "pytorch"): (400_000, 0.192522, 2_000_000, 4.082543e-4),
    ("PyTorch kaiming_normal_", "he"): (400_000, 0.4715066, 2_000_000, 1.000193e-3),
    ("PyTorch kaiming_uniform_", "he"): (400_000, 0.4715693, 2_000_000, 9.992604e-4),
    ("PyTorch xavier_normal_", "xavier"): (12, 0.3086012, 2_000_000, 9.996153e-4),
    ("JAX lecun_normal", "lecun"): (400_000, 0.3332452, 2_000_000, 7.070529e-4),
    ("JAX lecun_uniform", "lecun"): (400_000, 0.3332878, 2_000_000, 7.070790e-4),
    ("JAX he_normal", "he"): (400_000, 0.4712799, 2_000_000, 9.999239e-4),
    ("JAX he_uniform", "he"): (400_000, 0.4713401, 2_000_000, 9.999607e-4),
    ("JAX glorot_uniform", "xavier"): (12, 0.3084931, 2_000_000, 9.999605e-4),
}
#: nn.Linear's bias at fan-in 9, and weights and bias at fan-in 1.
PYTORCH_BIAS, PYTORCH_ONE = 0.192595, (0.577301, 0.577044)


class TestOtherLibraries:
    """Laws against what the libraries themselves drew; the page's laws are the ones that are tested."""

    PAGE = (Path(__file__).parent.parent / "docs" / "tutorials" / "regime.md").read_text()
    #: Of the page's table: rows begin with these.
    ROWS = {"pytorch": "PyTorch, default", "lecun": "LeCun", "he": "He", "xavier": "Xavier"}  # noqa: RUF012

    def laws(self, scheme):
        (row,) = re.findall(rf"^\| {self.ROWS[scheme]}.*$", self.PAGE, flags=re.M)
        return re.findall(r"`(sqrt\([^`]*)`", row)

    @pytest.mark.parametrize(("who", "scheme"), DRAWN)
    def test_laws(self, who, scheme):
        narrow, inputs, wide, outputs = DRAWN[who, scheme]
        beta1, beta2 = (parse_law(f"beta{k + 1}", law) for k, law in enumerate(self.laws(scheme)))
        # Samples of 2e6 and more numbers: 2e-3 are three standard errors and more.
        assert beta2(narrow, 10.0) == pytest.approx(inputs, rel=2e-3)  # nine features and the bias
        assert beta1(wide, 10.0) == pytest.approx(outputs, rel=2e-3)
        if scheme in SCHEMES:  # without a bias
            scaling = Scaling.named(scheme)
            assert scaling.kappa(narrow, 9) / beta1(narrow, 9) == pytest.approx(inputs, rel=2e-3)
            assert SCHEMES[scheme][1] == self.laws(scheme)[0]

    def test_pytorch_s_default(self):
        assert 'beta1="sqrt(1/(3*m))", beta2="sqrt(1/(3*(d-1)))", name="PyTorch"' in self.PAGE
        beta2 = parse_law("beta2", self.laws("pytorch")[1])
        assert beta2(100, 10.0) == pytest.approx(PYTORCH_BIAS, rel=2e-3)
        for drawn in PYTORCH_ONE:
            assert beta2(100, 2.0) == pytest.approx(drawn, rel=2e-3)


class TestExponentForm:
    @given(EXPONENT, EXPONENT, st.floats(1.0, 1e12))
    def test_power_laws(self, gamma, gamma_prime, m):
        scaling = Scaling(gamma=gamma, gamma_prime=gamma_prime)
        assert scaling.kappa(m) == pytest.approx(math.exp(-gamma * math.log(m)), rel=1e-12)
        assert scaling.kappa_prime(m) == pytest.approx(math.exp(-gamma_prime * math.log(m)), rel=1e-12)

    def test_width_may_be_astronomical(self):
        assert Scaling(gamma=1.75, gamma_prime=0.5).kappa(1e60) == pytest.approx(1e-105)

    @pytest.mark.parametrize("name", ["gamma", "gamma_prime"])
    @pytest.mark.parametrize("bad", [math.nan, math.inf, 101.0, "one"])
    def test_bad_exponents(self, name, bad):
        with pytest.raises(InputError, match=rf"{name} is '?{bad}'?; give a number"):
            Scaling(**{"gamma": 1.0, "gamma_prime": 0.0, name: bad})

    def test_incomplete_or_double_forms(self):
        with pytest.raises(InputError, match=r"no scaling given; give gamma and gamma_prime, or alpha"):
            Scaling()
        with pytest.raises(InputError, match=r"both exponents and alpha.* given; give one"):
            Scaling(gamma=1.0, alpha=1)
        with pytest.raises(InputError, match=r"beta1 and beta2 missing; give all"):
            Scaling(alpha=1)

    @pytest.mark.parametrize("method", ["kappa", "kappa_prime"])
    @pytest.mark.parametrize("sign", [1, -1])
    def test_scales_out_of_range_are_refused(self, method, sign):
        scaling = Scaling(gamma=sign * 100.0, gamma_prime=sign * 100.0)
        value = "0" if sign > 0 else "inf"
        with pytest.raises(InputError, match=rf"{method} is {value} at m = 1e\+10.*give a smaller width"):
            getattr(scaling, method)(1e10)

    def test_products_out_of_range_are_refused(self):
        scaling = Scaling(alpha=1, beta1=PowerLaw(1.0, -20.0), beta2=PowerLaw(1.0, -20.0))
        with pytest.raises(InputError, match=r"kappa is 0 at m = 1e\+10.*give a smaller width"):
            scaling.kappa(1e10)
        with pytest.raises(InputError, match=r"alpha is inf at m .* must be positive and finite"):
            Scaling(alpha=PowerLaw(1.0, 100.0), beta1=1, beta2=1).kappa(1e10)

    @pytest.mark.parametrize("bad", [0, -5, math.nan, math.inf, "10", None])
    def test_bad_widths(self, bad):
        with pytest.raises(InputError, match=rf"width is '?{bad}'?; give a positive finite number"):
            Scaling(gamma=1.0).kappa(bad)


class TestLaws:
    @given(EXPONENT, EXPONENT, EXPONENT, st.floats(0.1, 10), st.floats(0.1, 10))
    def test_all_forms_of_a_law_agree(self, p, q, r, c1, c2):
        """kappa ~ m^(q + r - p): the same law as PowerLaw, as expression and as function."""
        power = Scaling(alpha=PowerLaw(1.0, p), beta1=PowerLaw(c1, q), beta2=PowerLaw(c2, r))
        text = Scaling(alpha=f"m^({p!r})", beta1=f"{c1!r}*m**({q!r})", beta2=f"{c2!r}*m^({r!r})")
        call = Scaling(alpha=lambda m: m**p, beta1=lambda m: c1 * m**q, beta2=lambda m: c2 * m**r)
        for scaling in (power, text, call):
            assert scaling.gamma == pytest.approx(p - q - r, abs=1e-9)
            assert scaling.gamma_prime == pytest.approx(r - q, abs=1e-9)
            assert scaling.kappa(700.0) == pytest.approx(c1 * c2 * 700.0 ** (q + r - p), rel=1e-12)
            assert scaling.kappa_prime(700.0) == pytest.approx(c1 / c2 * 700.0 ** (q - r), rel=1e-12)

    def test_constants_are_constants_and_not_exponents(self):
        scaling = Scaling(alpha=2, beta1=3.0, beta2=np.float64(0.5))
        assert (scaling.gamma, scaling.gamma_prime) == (0.0, 0.0)
        assert scaling.kappa(10) == 0.75
        assert scaling.kappa_prime(10) == 6.0

    def test_functions_of_width_and_dimension(self):
        scaling = Scaling(alpha=1, beta1=lambda m: m**-0.5, beta2=lambda m, d: (m + d) ** -0.5)
        assert (scaling.gamma, scaling.gamma_prime) == (1.0, 0.0)
        assert scaling.kappa(16, 9) == pytest.approx(1 / 4 / 5)
        with pytest.raises(InputError, match=r"depends on the input dimension; give d"):
            scaling.kappa(16)

    def test_defaults_and_partials_of_functions_are_not_the_dimension(self):
        scaling = Scaling(
            alpha=lambda m, power=0.5: m**power,
            beta1=partial(pow, exp=-0.5),
            beta2=lambda m: 1 / math.sqrt(m),
        )
        assert (scaling.gamma, scaling.gamma_prime) == (1.5, 0.0)
        assert Scaling(alpha=math.sqrt, beta1=1, beta2=1).gamma == 0.5
        assert Scaling(alpha=np.sqrt, beta1=1, beta2=1).gamma == 0.5

    @pytest.mark.parametrize("exponent", [-10, -6, -4, 4, 6, 10])
    def test_steep_laws(self, exponent):
        assert Scaling(alpha=f"m^{exponent}", beta1=1, beta2=1).gamma == exponent
        assert Scaling(alpha=lambda m: float(m) ** exponent, beta1=1, beta2=1).gamma == exponent

    def test_the_exponent_is_the_asymptotic_one(self):
        assert Scaling(alpha="m + 1e6*sqrt(m) + 1e9", beta1=1, beta2=1).gamma == 1.0

    @pytest.mark.parametrize(
        "law",
        [
            "m^0.5 + m^0.49",
            "m + 1e60",
            lambda m: math.log(m),
            lambda m: m / math.log(m),
            lambda m: math.exp(math.sqrt(math.log(m))),
            lambda m: 2 + math.sin(math.log(m)),
        ],
    )
    def test_other_laws_are_refused(self, law):
        with pytest.raises(InputError, match=r"beta1 is not a power law at large widths .*give one"):
            Scaling(alpha=1, beta1=law, beta2=1)

    @pytest.mark.parametrize(
        "law", ["-m", "m-m", "1e50-m", "2^m", "0.5^m", "1e999", lambda m: None, lambda m: math.exp(m)]
    )
    def test_laws_without_positive_values_are_refused(self, law):
        with pytest.raises(
            InputError, match=r"alpha cannot be evaluated at large widths .*give a law that is positive"
        ):
            Scaling(alpha=law, beta1=1, beta2=1)

    def test_a_law_that_fails_at_one_width_says_where(self):
        scaling = Scaling(alpha="m - 100", beta1=1, beta2=1)
        with pytest.raises(InputError, match=r"alpha is -50.0 at m = 50; a law must be positive"):
            scaling.kappa(50)

    @pytest.mark.parametrize("bad", [0, -1.0, math.nan, math.inf])
    def test_bad_constants(self, bad):
        with pytest.raises(InputError, match=rf"beta2 is {bad}; give a.* number"):
            Scaling(alpha=1, beta1=1, beta2=bad)

    def test_things_that_are_no_law(self):
        with pytest.raises(InputError, match=r"alpha is \[1\]; give a number, an expression in m and d"):
            Scaling(alpha=[1], beta1=1, beta2=1)

    @pytest.mark.parametrize(
        ("prefactor", "exponent", "given"),
        [
            (0, 1, "prefactor is 0"),
            ("2", 1, "prefactor is '2'"),
            (1, math.nan, "exponent is nan"),
            (1, None, "None"),
        ],
    )
    def test_bad_power_laws(self, prefactor, exponent, given):
        with pytest.raises(InputError, match=rf"{given}; give a (positive|finite) number"):
            PowerLaw(prefactor, exponent)


class TestExpressions:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("sqrt(2/(m+d))", math.sqrt(2 / 30)),
            ("3*m^-0.5", 3 / math.sqrt(20)),
            (" m ** 0.5 * d ", math.sqrt(20) * 10),
            ("1 + 2*3", 7.0),
            ("2^3^2", 512.0),
            ("+m - -m", 40.0),
            ("(m - d)/d", 1.0),
            ("1e3", 1000.0),
        ],
    )
    def test_values(self, text, value):
        assert Scaling(alpha=text, beta1=1, beta2=1).kappa(20, 10) == pytest.approx(1 / value, rel=1e-14)

    @pytest.mark.parametrize(
        "text",
        [
            "__import__('os').getcwd()",
            "().__class__.__bases__[0]",
            "m.__class__",
            "[m for _ in (1,)]",
            "lambda: m",
            "(m := 2)",
            "m if m else 1",
            "m and d",
            "m == d",
            "f'{m}'",
            "'m'",
            "True * m",
            "1j * m",
            "None",
            "m % 7",
            "m // 2",
            "m @ m",
            "m(2)",
            "sqrt(m, 2)",
            "sqrt(x=m)",
            "sqrt(*m)",
            "sqrt",
            "log(m)",
            "n",
            "eval(m)",
        ],
    )
    def test_anything_else_is_not_understood(self, text):
        with pytest.raises(
            InputError, match=r"alpha is .*only numbers, m, d, sqrt .* are understood; write an"
        ):
            Scaling(alpha=text, beta1=1, beta2=1)

    @pytest.mark.parametrize(
        "text", ["", " ", "m +", "m; d", "import os", "m\n+1", "\0", "\ud800", "(" * 150, "2m"]
    )
    def test_unreadable(self, text):
        with pytest.raises(InputError, match=r"beta1 is .*: it cannot be read; write an expression"):
            Scaling(alpha=1, beta1=text, beta2=1)

    def test_too_long(self):
        with pytest.raises(
            InputError, match=r"is '1\+1.*\.\.\.': it is longer than 200 characters; write"
        ) as caught:
            Scaling(alpha="1" + "+1" * 100_000, beta1=1, beta2=1)
        assert len(str(caught.value)) < 300

    def test_huge_powers_take_no_time(self):
        with pytest.raises(InputError, match=r"it has no value at m = 1000 .*; write an expression"):
            Scaling(alpha="9**9**9**9", beta1=1, beta2=1)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [("1/(m-m)", "no value"), ("sqrt(1-m)", "no value"), ("(1-m)^0.5", "root of a negative number")],
    )
    def test_without_a_value(self, text, reason):
        with pytest.raises(InputError, match=rf"beta2 is .*{reason}.*; write an expression"):
            Scaling(alpha=1, beta1=1, beta2=text)

    @given(st.text(alphabet="md0123456789.+-*/^() sqrte_[]'\"", max_size=40))
    def test_fuzz(self, text):
        """Any string gives a scaling or an InputError, nothing else."""
        try:
            scaling = Scaling(alpha=text, beta1=1, beta2=1)
        except InputError:
            return
        assert math.isfinite(scaling.gamma)


class TestAbc:
    """Layer l: W_l = m^-a_l w_l with w_l ~ N(0, m^(-2 b_l)) (Yang and Hu 2021)."""

    @pytest.mark.parametrize(
        ("a", "b", "gamma", "gamma_prime"),
        [
            ((-0.5, 0.5), (0.5, 0.5), 1.0, 0.0),  # muP
            ((0.0, 0.5), (0.0, 0.0), 0.5, 0.0),  # NTK
            ((0.0, 0.0), (0.0, 0.5), 0.5, 0.5),  # standard
            ((0.0, 1.0), (0.0, 0.0), 1.0, 0.0),  # mean field
        ],
    )
    def test_parametrisations(self, a, b, gamma, gamma_prime):
        scaling = Scaling.from_abc(a=a, b=b)
        assert (scaling.gamma, scaling.gamma_prime) == (gamma, gamma_prime)

    @given(EXPONENT, EXPONENT, EXPONENT, EXPONENT)
    def test_scales_are_those_of_the_network(self, a1, a2, b1, b2):
        """f = m^-(a1 + a2) sum_k a_k relu(w_k.x) with beta1 = m^-b2, beta2 = m^-b1, at m = 7."""
        scaling = Scaling.from_abc(a=(a1, a2), b=(b1, b2))
        assert scaling.kappa(7.0) == pytest.approx(7.0**-b2 * 7.0**-b1 * 7.0 ** -(a1 + a2), rel=1e-12)
        assert scaling.kappa_prime(7.0) == pytest.approx(7.0**-b2 / 7.0**-b1, rel=1e-12)

    @given(EXPONENT, EXPONENT)
    def test_round_trip(self, gamma, gamma_prime):
        back = Scaling.from_abc(*Scaling(gamma=gamma, gamma_prime=gamma_prime).abc)
        assert back.gamma == pytest.approx(gamma, abs=1e-12)
        assert back.gamma_prime == pytest.approx(gamma_prime, abs=1e-12)

    @given(EXPONENT, EXPONENT, EXPONENT, EXPONENT, EXPONENT)
    def test_symmetry_of_the_parametrisation(self, a1, a2, b1, b2, s):
        one = Scaling.from_abc(a=(a1, a2), b=(b1, b2))
        other = Scaling.from_abc(a=(a1 - s, a2 + s), b=(b1, b2))
        assert (one.gamma, one.gamma_prime) == pytest.approx((other.gamma, other.gamma_prime), abs=1e-11)

    def test_bad_exponents(self):
        with pytest.raises(InputError, match=r"a is \(1,\); give two numbers \(a1, a2\)"):
            Scaling.from_abc(a=(1,), b=(0, 0))
        with pytest.raises(InputError, match=r"b is 'x'; give a number"):
            Scaling.from_abc(a=(1, 1), b=(0, "x"))


class TestTime:
    @given(st.floats(1, 1e9), st.floats(1e-6, 1e3), st.floats(1, 1e6))
    def test_round_trip(self, steps, rate, m):
        scaling = Scaling.named("he")
        tbar = scaling.tbar(steps, rate, m, d=5)
        assert tbar == pytest.approx(steps * rate / (math.sqrt(2 / m) * math.sqrt(2 / 5)), rel=1e-12)
        assert scaling.steps(tbar, rate, m, d=5) == pytest.approx(steps, rel=1e-12)

    def test_exponents_alone_fix_no_unit_of_time(self):
        with pytest.raises(InputError, match=r"gamma and gamma_prime only.* give alpha, beta1 and beta2"):
            Scaling(gamma=1.0).tbar(1, 0.1, 100)

    @pytest.mark.parametrize("rate", [0.0, -1, math.nan, math.inf, "0.1"])
    def test_bad_learning_rates(self, rate):
        for convert in (Scaling.named("ntk").tbar, Scaling.named("ntk").steps):
            with pytest.raises(InputError, match=rf"learning_rate is '?{rate}'?; give a positive number"):
                convert(10.0, rate, 100)


class TestIdentity:
    @pytest.mark.parametrize(
        "make",
        [
            lambda: Scaling(gamma=0.5, gamma_prime=0.25, name="mine"),
            lambda: Scaling.named("xavier"),
            lambda: Scaling.named("e-ma-wu", b=0.5),
            lambda: Scaling(alpha=math.sqrt, beta1="m^-1", beta2=2),
        ],
    )
    def test_scalings_compare_hash_and_pickle_by_value(self, make):
        scaling = make()
        assert scaling == make()
        assert hash(scaling) == hash(make())
        copy = pickle.loads(pickle.dumps(scaling))
        assert copy == scaling
        assert copy.kappa(100, 2) == scaling.kappa(100, 2)

    def test_different_laws_differ(self):
        assert Scaling.named("lecun") != Scaling.named("he")

    def test_repr(self):
        assert repr(Scaling(0.5, name="mine")) == "Scaling(gamma=0.5, gamma_prime=0.0, name='mine')"
        he = "Scaling(alpha='1', beta1='sqrt(2/m)', beta2='sqrt(2/d)', name='He')"
        assert repr(Scaling.named("he")) == he
        by_function = repr(Scaling(alpha=math.sqrt, beta1=1, beta2=1))
        assert by_function == "<Scaling by functions: gamma=0.5, gamma_prime=0.0>"

    def test_classify(self):
        c = Scaling(gamma=0.25, gamma_prime=0.0).classify(antisymmetric=False)
        assert (c.regime, c.distance, c.S_w) == (Regime.LINEAR, 0.75, -0.5)
