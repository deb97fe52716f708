"""Standardised problems: the network sees other numbers than the user, who never has to know."""

import json
from dataclasses import replace

import numpy as np
import pytest

import meanfield as mf
from meanfield import InputError
from meanfield.experiments import SweepStore

KELVIN = 280.0 + 10.0 * np.arange(8)
#: In ohms around 1e5, so that a prediction in the network's units would be far off.
OHMS = 1e5 + 2e4 * np.sin(np.arange(8.0))
NEW = np.array([285.0, 300.0, 318.0])
NTK = mf.Scaling.named("ntk")


def moments(values):
    """Mean and standard deviation, by the library."""
    return float(np.mean(values)), float(np.std(values))


def by_hand():
    """The same data, shifted and scaled by the user, and what takes them back."""
    (shift, size), (middle, unit) = moments(KELVIN), moments(OHMS)
    problem = mf.Problem((KELVIN - shift) / size, (OHMS - middle) / unit, name="oven")
    return problem, (NEW - shift) / size, lambda output: unit * output + middle


@pytest.fixture(scope="module")
def problem():
    return mf.Problem(KELVIN, OHMS, name="oven", standardise=True, standardise_targets=True)


@pytest.fixture(scope="module")
def runs(problem):
    """One run on a standardised problem, and one on the user's own numbers."""
    own, _, _ = by_hand()
    return [
        mf.gradient_flow(data, mf.Particles.sample(data, NTK, 300, rng=0), t_end=20.0)
        for data in (problem, own)
    ]


@pytest.fixture(scope="module")
def limits(problem):
    own, _, _ = by_hand()
    return [mf.infinite_width(data, NTK, width=1e30) for data in (problem, own)]


def test_a_target_is_met_in_its_own_units(tmp_path):
    """The case of the issue: `predict([300])` gave 359.7."""
    path = tmp_path / "oven.csv"
    path.write_text("kelvin,yield\n" + "\n".join(f"{k},{np.sin(i)}" for i, k in enumerate(KELVIN)))
    problem = mf.datasets.load(path, standardise=True)
    run = mf.gradient_flow(problem, mf.Particles.sample(problem, NTK, width=500, rng=0))
    np.testing.assert_allclose(run.predict(KELVIN), np.sin(np.arange(8.0)), atol=5e-3)
    assert (problem.feature_names, problem.target_name) == (("kelvin",), "yield")


class TestWhatTheNetworkSees:
    def test_is_standardised(self, problem):
        own, _, _ = by_hand()
        np.testing.assert_array_equal(problem.x, own.x)
        np.testing.assert_array_equal(problem.y, own.y)
        assert problem.fingerprint == own.fingerprint  # so that stores of sweeps go on
        assert not problem.same_as(own)
        assert problem.same_as(mf.Problem(KELVIN, OHMS, standardise=True, standardise_targets=True))

    def test_the_users_units_are_there(self, problem):
        kept = problem.standardisation
        np.testing.assert_allclose(kept.mean, [KELVIN.mean()], rtol=1e-15)
        np.testing.assert_allclose(kept.scale, [KELVIN.std()], rtol=1e-15)
        np.testing.assert_allclose([kept.target_mean, kept.target_scale], moments(OHMS), rtol=1e-14)
        np.testing.assert_allclose(problem.features[:, 0], KELVIN, rtol=1e-15)
        np.testing.assert_allclose(problem.targets, OHMS, rtol=1e-15)

    def test_features_alone_and_targets_alone(self):
        features = mf.Problem(KELVIN, OHMS, standardise=True)
        np.testing.assert_array_equal(features.y, OHMS)
        assert abs(features.x[:, 0].mean()) < 1e-14
        targets = mf.Problem(KELVIN, OHMS, standardise_targets=True)
        np.testing.assert_array_equal(targets.x[:, 0], KELVIN)
        np.testing.assert_allclose([targets.y.mean(), targets.y.std()], [0.0, 1.0], atol=1e-14)

    def test_plain_problems_have_none(self):
        plain = mf.Problem(KELVIN, OHMS)
        assert plain.standardisation is None
        assert plain.features.base is plain.x or plain.features is plain.x
        np.testing.assert_array_equal(plain.targets, OHMS)

    def test_a_constant_column_has_scale_one(self):
        x = np.column_stack([KELVIN, np.full(8, 0.1)])  # 0.1: a mean of eight is an ulp off
        problem = mf.Problem(x, OHMS, standardise=True)
        assert not problem.x[:, 1].any()
        assert (problem.standardisation.mean[1], problem.standardisation.scale[1]) == (0.1, 1.0)
        assert problem.with_bias([[300.0, 0.6]])[0, 1] == 0.5

    @pytest.mark.parametrize("d_in", [1, 2, 5])
    @pytest.mark.parametrize("bias", [True, False])
    def test_the_bits_are_those_of_earlier_versions(self, d_in, bias):
        """So that stores of their sweeps go on; this is how they computed it."""
        rng = np.random.default_rng(d_in)
        x = rng.standard_normal((300, d_in)) * 10.0 ** np.arange(d_in) + 100.0
        x[:, 1:2] = 0.3
        plain = mf.Problem(x, rng.standard_normal(300), bias=bias)
        features = plain.x[:, :d_in]
        varies = np.ptp(features, axis=0) > 0.0
        scaled = np.zeros_like(features)
        scaled[:, varies] = features[:, varies] - features[:, varies].mean(axis=0)
        scaled[:, varies] /= scaled[:, varies].std(axis=0)
        for problem in (plain.standardised(), mf.Problem(x, plain.y, bias=bias, standardise=True)):
            np.testing.assert_array_equal(problem.x[:, :d_in], scaled)

    def test_any_problem_can_be_standardised_later(self, problem):
        later = mf.Problem(KELVIN, OHMS, feature_names=["t"]).standardised(targets=True, name="later")
        np.testing.assert_array_equal(later.x, problem.x)
        np.testing.assert_array_equal(later.y, problem.y)
        assert (later.name, later.feature_names) == ("later", ("t",))
        again = later.standardised(features=False)
        np.testing.assert_allclose(again.x[:, 0], KELVIN, rtol=1e-15)

    def test_nothing_to_standardise(self):
        with pytest.raises(InputError, match=r"no feature of 'data' varies, .*; give features that do"):
            mf.Problem([2.0, 2.0], [0.0, 1.0], standardise=True)


class TestEveryPrediction:
    """What is predicted beside the same computation on numbers that the user has shifted and scaled."""

    def test_of_a_run(self, runs):
        _, new, back = by_hand()
        ours, theirs = runs
        np.testing.assert_array_equal(ours.output, theirs.output)
        np.testing.assert_array_equal(ours.loss, theirs.loss)
        np.testing.assert_allclose(ours.predict(NEW), back(theirs.predict(new)), rtol=1e-12)
        np.testing.assert_allclose(ours.problem.to_target_units(ours.output), back(theirs.output), rtol=1e-14)

    def test_of_a_limit(self, limits):
        _, new, back = by_hand()
        ours, theirs = limits
        assert ours.source == "kernel"
        np.testing.assert_allclose(ours.predict(NEW), back(theirs.predict(new)), rtol=1e-12)
        unit = OHMS.std()
        np.testing.assert_allclose(ours.predict_error(NEW), unit * theirs.predict_error(new), rtol=1e-12)

    def test_of_a_mean_field_limit(self, problem):
        own, new, back = by_hand()
        scaling = mf.Scaling.named("mean-field")
        theirs = mf.infinite_width(own, scaling, width=1e6, nodes=64, tol=0.1, loss_tol=0.3)
        ours = replace(theirs, problem=problem)  # the network sees the same
        assert ours.source == "mean-field"
        at = ours.time[[1, -1]]
        np.testing.assert_allclose(ours.predict(NEW, at), back(theirs.predict(new, at)), rtol=1e-12)
        found, expected = ours.predict_error(NEW, at), OHMS.std() * theirs.predict_error(new, at)
        np.testing.assert_allclose(found, expected, rtol=1e-12)

    def test_of_closed_forms(self, problem):
        own, new, back = by_hand()
        network = mf.Particles.sample(own, NTK, 200, rng=0)
        laws = [mf.limits.KernelRegime.at(data, NTK, 1e6) for data in (problem, own)]
        linear = [mf.limits.Linearised(data, network) for data in (problem, own)]
        for ours, theirs in (laws, linear):
            for t in (1.0, np.inf):
                np.testing.assert_allclose(ours.output(NEW, t), back(theirs.output(new, t)), rtol=1e-12)

    def test_kernels_take_the_users_inputs(self, problem):
        own, new, _ = by_hand()
        for ours, theirs in zip(
            mf.limits.arc_cosine_kernels(NEW, problem=problem),
            mf.limits.arc_cosine_kernels(new, problem=own),
            strict=True,
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-13)

    def test_of_a_comparison(self, runs, limits):
        ours, theirs = (
            mf.limits.compare(run, mf.infinite_width(run.problem, NTK, width=300, nodes=64, tol=0.1))
            for run in runs
        )
        unit = OHMS.std()
        np.testing.assert_allclose(ours.output_deviation, unit * theirs.output_deviation, rtol=1e-9)
        assert ours.expected_scatter == pytest.approx(unit * theirs.expected_scatter, rel=1e-9)
        np.testing.assert_array_equal(ours.loss, theirs.loss)
        with pytest.raises(InputError, match=r"different data or in different units"):
            mf.limits.compare(runs[0], limits[1])

    def test_of_a_figure(self, runs):
        ax = mf.plotting.learned_function(runs[0])
        lines = {line.get_label(): line for line in ax.lines}
        np.testing.assert_allclose(lines["data"].get_xdata(), KELVIN, rtol=1e-12)
        np.testing.assert_allclose(lines["data"].get_ydata(), OHMS, rtol=1e-12)
        curve = lines["$m$ = 300"]
        at = np.asarray(curve.get_xdata())
        assert at.min() < 280.0 < 350.0 < at.max()
        np.testing.assert_allclose(curve.get_ydata(), runs[0].predict(at), rtol=1e-12)
        np.testing.assert_allclose(lines["linear interpolant"].get_xdata(), KELVIN, rtol=1e-12)
        with pytest.raises(InputError, match=r"different data or in different units"):
            mf.plotting.learned_function(runs)


class TestFiles:
    @pytest.mark.parametrize("name", ["runs", "limits"])
    def test_results_keep_the_units(self, request, name, tmp_path):
        result = request.getfixturevalue(name)[0]
        again = mf.load(result.save(tmp_path / "result"))
        np.testing.assert_array_equal(again.problem.x, result.problem.x)
        assert again.problem.same_as(result.problem)
        np.testing.assert_array_equal(again.predict(NEW), result.predict(NEW))

    def test_names_are_kept(self, tmp_path):
        problem = mf.Problem(KELVIN, OHMS, feature_names=["kelvin"], target_name="ohms", standardise=True)
        run = mf.gradient_flow(problem, mf.Particles.sample(problem, NTK, 10, rng=0), t_end=0.1)
        again = mf.load(run.save(tmp_path / "run")).problem
        assert (again.feature_names, again.target_name, again.name) == (("kelvin",), "ohms", "data")

    def test_a_store_keeps_them(self, tmp_path):
        problem = mf.Problem(
            KELVIN, np.sin(KELVIN), feature_names=["kelvin"], standardise=True, standardise_targets=True
        )
        path = tmp_path / "sweep.sqlite"
        mf.phase_diagram(
            problem, gamma=[1.0], gamma_prime=[0.0], widths=[10, 20], seeds=1, store=path, progress=False
        )
        with SweepStore.open(path) as store:
            assert store.problem.same_as(problem)
            assert store.problem.feature_names == ("kelvin",)

    @pytest.mark.parametrize(
        "damage",
        [{"scale": [0.0]}, {"scale": [-1.0]}, {"mean": [1.0, 2.0]}, {"target_scale": 0.0}, {"mean": ["a"]}],
    )
    def test_a_damaged_standardisation_is_refused(self, runs, tmp_path, damage):
        with np.load(runs[0].save(tmp_path / "run")) as archive:
            arrays = dict(archive)
        meta = json.loads(str(arrays.pop("meta")))
        meta["problem"]["standardisation"] |= damage
        np.savez(tmp_path / "other.npz", meta=np.array(json.dumps(meta)), **arrays)
        with pytest.raises(InputError, match=r"does not hold a saved run, or is damaged"):
            mf.load(tmp_path / "other.npz")
