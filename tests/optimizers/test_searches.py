"""Searches along a line: one table of contracts for all that are registered, then what each promises."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from walks import walk

from nnx.errors import OptionError
from nnx.optimizers import searches
from nnx.optimizers.searches import (
    Armijo,
    Brent,
    Fixed,
    GoldenSection,
    HagerZhang,
    ScalarLine,
    StrongWolfe,
    Trial,
)
from nnx.registry import from_config, to_config

ENTRIES = list(searches.registry)
each = pytest.mark.parametrize("search", [e.create() for e in ENTRIES], ids=[e.class_name for e in ENTRIES])
EXACT = (GoldenSection, Brent)
FIRST = (1e-20, 1e-3, 0.3, 1.0, 2.5, 1e3, 1e20)

nan, inf = math.nan, math.inf


class Recorded(ScalarLine):
    """A line that keeps its trials, and gives none but numbers > 0 a chance."""

    def __init__(self, phi, dphi):
        super().__init__(phi, dphi)
        self.start = Trial(0.0, float(phi(0.0)), float(dphi(0.0)))
        self.trials = []

    def value(self, alpha):
        assert type(alpha) is float
        assert 0.0 < alpha < inf
        self.trials.append(super().value(alpha))
        return self.trials[-1]

    def slope(self, alpha):
        self.trials[-1:] = [super().slope(alpha)]  # value() has recorded it without its slope
        return self.trials[-1]

    @property
    def lowest(self):
        return min(t.value for t in (self.start, *self.trials) if math.isfinite(t.value))


def run(search, phi, dphi, first):
    line = Recorded(phi, dphi)
    return search(line, line.start, first), line


# -- the contract: every search on every line ------------------------------------------------------------


def beyond(limit, bad):
    """(α − 1)² up to ``limit``, ``bad`` after it."""
    return (lambda a: (a - 1.0) ** 2 if a < limit else bad), lambda a: 2.0 * (a - 1.0)


def power(value, exponent):
    """Ends in ∞ as IEEE's numbers do, where Python's raise."""
    try:
        return value**exponent
    except OverflowError:
        return inf


LINES = {
    "parabola": (lambda a: (a - 1.0) ** 2, lambda a: 2.0 * (a - 1.0)),
    "quartic": (lambda a: power(a - 1.0, 4) - 1.0, lambda a: 4.0 * power(a - 1.0, 3)),
    "two valleys": (
        lambda a: power(a, 4) - 5.0 * power(a, 2) - 0.5 * a,
        lambda a: 4.0 * power(a, 3) - 10.0 * a - 0.5,
    ),
    "steep wall": (
        lambda a: power(math.e, min(a, 1e4)) - 3.0 * a,
        lambda a: power(math.e, min(a, 1e4)) - 3.0,
    ),
    "barrier": (
        lambda a: -a - math.log1p(-a) * 0.1 if a < 1.0 else inf,
        lambda a: -1.0 + 0.1 / (1.0 - a) if a < 1.0 else nan,
    ),
    "nan before the minimum": beyond(0.7, nan),
    "nan behind the minimum": beyond(1.4, nan),
    "inf before the minimum": beyond(0.7, inf),
    "-inf behind the minimum": beyond(1.4, -inf),
    "nan everywhere": (lambda a: nan if a else 1.0, lambda a: -1.0),
    "slopes nan": (lambda a: (a - 1.0) ** 2, lambda a: nan if a > 0.5 else 2.0 * (a - 1.0)),
    "constant": (lambda a: 1.0, lambda a: -1.0),
    "constant at zero": (lambda a: 0.0, lambda a: -1.0),
    "rises": (lambda a: 2.0 + a, lambda a: -1.0 if a == 0.0 else 1.0),
    "no bound": (lambda a: -a, lambda a: -1.0),
    "no bound, faster": (lambda a: -power(a, 3) - a, lambda a: -3.0 * a * a - 1.0),
    "falls for ever": (lambda a: 1.0 / (1.0 + a), lambda a: -1.0 / (1.0 + a) / (1.0 + a)),
    "kink": (lambda a: abs(a - 1.0), lambda a: -1.0 if a < 1.0 else 1.0),
    "noise": (
        lambda a: 1.0 + 1e-9 * (a - 1.0) ** 2 + 3e-16 * math.sin(1e7 * a),
        lambda a: 2e-9 * (a - 1.0),
    ),
    "a hole": (
        lambda a: nan if 0.5 < a < 0.8 else (a - 1.0) ** 2,
        lambda a: 2.0 * (a - 1.0),
    ),
    "enormous": (lambda a: 1e300 * (a - 1.0) ** 2, lambda a: 2e300 * (a - 1.0)),
    "tiny": (lambda a: 1e-300 * (a - 1.0) ** 2, lambda a: 2e-300 * (a - 1.0)),
}
#: lines whose multiples are no numbers
FAR_OUT = ("enormous", "tiny")


@each
@walk("name, first", product(LINES, FIRST))
def test_every_search_keeps_the_contract(search, name, first):
    phi, dphi = LINES[name]
    found, line = run(search, phi, dphi, first)
    assert len(line.trials) <= search.max_trials
    assert math.isfinite(found.trial.value)
    assert found.trial in (line.start, *line.trials)
    assert found.trial.value == phi(found.trial.alpha)
    if search.needs_slope:
        assert found.trial.slope == dphi(found.trial.alpha)
    if found.converged:
        # nothing above the start, but for what a search calls rounding
        assert found.trial.value <= line.start.value + getattr(search, "epsilon", 0.0) * abs(line.start.value)
        assert type(search) in EXACT or search.accepts(line.start, found.trial)
    else:
        assert "do not hold" in found.message
        usable = [t for t in line.trials if math.isfinite(t.value)]
        if search.needs_slope:
            usable = [t for t in usable if math.isfinite(dphi(t.alpha))]
        assert found.trial.value == min(t.value for t in (line.start, *usable))


@each
@walk(
    "line, exponent", product(LINES.keys() - {"enormous", "tiny"}, [-21, 20])
)  # whose multiples are no numbers
def test_a_cost_in_other_units_changes_no_step(search, line, exponent):
    phi, dphi = LINES[line]
    scale = 2.0**exponent
    found, line = run(search, phi, dphi, 0.3)
    again, scaled = run(search, lambda a: scale * phi(a), lambda a: scale * dphi(a), 0.3)
    assert [t.alpha for t in scaled.trials] == [t.alpha for t in line.trials]
    assert (again.trial.alpha, again.converged) == (found.trial.alpha, found.converged)


@each
def test_what_cannot_be_searched_is_refused(search):
    line = ScalarLine(lambda a: a, lambda a: 1.0)
    for start, first, says in (
        (Trial(0.0, 1.0, 0.0), 1.0, "slope at the start must be finite and < 0"),
        (Trial(0.0, 1.0, 1.0), 1.0, "no descent direction"),
        (Trial(0.0, 1.0, nan), 1.0, "got nan"),
        (Trial(0.0, 1.0, -inf), 1.0, "got -inf"),
        (Trial(0.0, nan, -1.0), 1.0, "finite value"),
        (Trial(0.0, inf, -1.0), 1.0, "finite value"),
        (Trial(1.0, 1.0, -1.0), 1.0, "alpha = 0"),
        (Trial(0.0, 1.0, -1.0), 0.0, "first step must be"),
        (Trial(0.0, 1.0, -1.0), -1.0, "first step must be"),
        (Trial(0.0, 1.0, -1.0), nan, "got nan"),
        (Trial(0.0, 1.0, -1.0), inf, "got inf"),
    ):
        with pytest.raises(OptionError, match=says) as error:
            search(line, start, first)
        assert str(error.value).startswith(f"{type(search).__name__}: ")
    assert line.values == 0


@each
def test_it_has_a_name_and_what_a_file_says_makes_the_same(search):
    entry = next(e for e in ENTRIES if e.target is type(search))
    assert searches.get(entry.name) == searches.get(entry.class_name) == search
    assert from_config(to_config(search)) == search
    assert entry.traits.formula
    assert entry.traits.formula in entry.target.__doc__.replace("``", "")
    assert hash(search) == hash(entry.create())


@each
def test_the_point_of_the_line_comes_back(search):
    class Line:
        def value(self, alpha):
            return Trial(alpha, (alpha - 1.0) ** 2, point=("mine", alpha))

        def slope(self, alpha):
            return self.value(alpha)._replace(slope=2.0 * (alpha - 1.0))

    found = search(Line(), Trial(0.0, 1.0, -2.0, "start"), 0.7)
    assert found.converged
    assert found.trial.point == ("mine", found.trial.alpha)


@each
@pytest.mark.parametrize("most", [1, 2, 5])
def test_no_more_trials_than_allowed(search, most):
    if isinstance(search, Fixed):
        pytest.skip("has one trial always")
    found, line = run(replace(search, max_trials=most), *LINES["no bound"], 1e-3)
    assert len(line.trials) <= most
    assert found.trial.value == line.lowest
    if not found.converged:
        assert "may have no lower bound" in found.message


# -- random lines ------------------------------------------------------------------------------------------

number = st.floats(-10.0, 10.0).map(lambda x: x if abs(x) > 1e-3 else 0.0)
first_step = st.floats(-8.0, 8.0).map(lambda x: 10.0**x)


@each
@given(number, number, number, number, first_step)
def test_conditions_hold_on_random_quartics(search, offset, cubic, square, slope, first):
    """α⁴ + cα³ + sα² − |g|α + offset: one or two valleys, always a minimum."""
    assume(slope != 0.0)
    found, line = run(
        search,
        lambda a: (((a + cubic) * a + square) * a - abs(slope)) * a + offset,
        lambda a: ((4.0 * a + 3.0 * cubic) * a + 2.0 * square) * a - abs(slope),
        first,
    )
    if isinstance(search, Fixed):
        assert found.converged == (line.trials[0].value <= line.start.value)
        return
    assert found.converged
    assert found.trial.value <= line.start.value
    if isinstance(search, EXACT):
        assert found.trial.value == line.lowest
    else:
        assert search.accepts(line.start, found.trial)


@each
@given(st.floats(-8.0, 8.0), st.floats(-8.0, 8.0), first_step)
def test_conditions_hold_on_random_parabolas(search, log_curvature, log_minimum, first):
    curvature, best = 10.0**log_curvature, 10.0**log_minimum
    found, line = run(
        search, lambda a: 0.5 * curvature * a * (a - 2.0 * best), lambda a: curvature * (a - best), first
    )
    if isinstance(search, EXACT):
        assert found.converged
        # near its minimum a parabola differs by d²/best² from it, which rounds to 0 below 1.5e-8
        assert found.trial.alpha == pytest.approx(best, rel=1e-7)
    elif not isinstance(search, Fixed):
        assert found.converged
        assert search.accepts(line.start, found.trial)


# -- Moré and Thuente's six functions ------------------------------------------------------------------------


def yanai(b1, b2):
    g1, g2 = math.hypot(1.0, b1) - b1, math.hypot(1.0, b2) - b2
    return (
        lambda a: g1 * math.hypot(1.0 - a, b2) + g2 * math.hypot(a, b1),
        lambda a: g1 * (a - 1.0) / math.hypot(1.0 - a, b2) + g2 * a / math.hypot(a, b1),
    )


def oscillating(beta=0.01, waves=39):
    def base(a):
        return abs(a - 1.0) if abs(a - 1.0) >= beta else (a - 1.0) ** 2 / (2.0 * beta) + beta / 2.0

    def base_slope(a):
        return max(-1.0, min(1.0, (a - 1.0) / beta))

    k = waves * math.pi / 2.0
    return (
        lambda a: base(a) + (1.0 - beta) / k * math.sin(k * a),
        lambda a: base_slope(a) + (1.0 - beta) * math.cos(k * a),
    )


#: the functions (5.1) to (5.6), μ and η, and the trials of tables I to VI from 10⁻³, 10⁻¹, 10¹, 10³
MORE_THUENTE = {
    "table I": ((lambda a: -a / (a * a + 2.0), lambda a: (a * a - 2.0) / (a * a + 2.0) ** 2), 1e-3, 0.1),
    "table II": (
        (
            lambda a: (a + 0.004) ** 5 - 2.0 * (a + 0.004) ** 4,
            lambda a: 5.0 * (a + 0.004) ** 4 - 8.0 * (a + 0.004) ** 3,
        ),
        0.1,
        0.1,
    ),
    "table III": (oscillating(), 0.1, 0.1),
    "table IV": (yanai(0.001, 0.001), 0.001, 0.001),
    "table V": (yanai(0.01, 0.001), 0.001, 0.001),
    "table VI": (yanai(0.001, 0.01), 0.001, 0.001),
}
TRIALS = {
    "table I": (6, 3, 1, 4),
    "table II": (12, 8, 8, 11),
    "table III": (12, 12, 10, 13),
    "table IV": (4, 1, 3, 4),
    "table V": (6, 3, 7, 8),
    "table VI": (13, 11, 8, 11),
}


@pytest.mark.parametrize("table", MORE_THUENTE)
def test_strong_wolfe_needs_the_trials_of_the_paper(table):
    (phi, dphi), c1, c2 = MORE_THUENTE[table]
    needed = []
    for first in (1e-3, 1e-1, 1e1, 1e3):
        found, line = run(StrongWolfe(c1, max(c2, math.nextafter(c1, 1.0))), phi, dphi, first)
        assert found.converged
        assert found.trial.value <= line.start.value + c1 * found.trial.alpha * line.start.slope
        assert abs(found.trial.slope) <= -c2 * line.start.slope
        needed.append(line.slopes)
    assert tuple(needed) == TRIALS[table]


@pytest.mark.parametrize("table", MORE_THUENTE)
@pytest.mark.parametrize("search", [Armijo(), StrongWolfe(), HagerZhang(), Brent(), GoldenSection()], ids=str)
def test_the_others_succeed_on_these_functions_too(search, table):
    for first in (1e-3, 1e-1, 1e1, 1e3):
        assert run(search, *MORE_THUENTE[table][0], first)[0].converged


# -- beside SciPy --------------------------------------------------------------------------------------------


def lines_of_methods():
    """The lines that BFGS with SciPy meets on Rosenbrock's function and on another: φ, φ' and first steps."""
    optimize = pytest.importorskip("scipy.optimize")
    np = pytest.importorskip("numpy")
    rng = np.random.default_rng(5)
    for f, g in (
        (optimize.rosen, optimize.rosen_der),
        (lambda x: np.sum(np.cosh(x)) + np.sum(x) ** 4, lambda x: np.sinh(x) + 4.0 * np.sum(x) ** 3),
    ):
        for _ in range(100):
            x = rng.normal(size=6) * 2.0
            d = -g(x) if rng.random() < 0.5 else -np.linalg.solve(np.diag(1.0 + 9.0 * rng.random(6)), g(x))
            yield (
                lambda a, f=f, x=x, d=d: float(f(x + a * d)),
                lambda a, g=g, x=x, d=d: float(g(x + a * d) @ d),
                min(1.0, 1.0 / float(np.linalg.norm(d))),
            )


@pytest.mark.parametrize("c2", [0.9, 0.4, 0.1])
def test_strong_wolfe_needs_no_more_trials_than_scipy(c2):
    dcsrch = pytest.importorskip("scipy.optimize._dcsrch")
    ours = theirs = 0
    for phi, dphi, first in lines_of_methods():
        found, line = run(StrongWolfe(1e-4, c2), phi, dphi, first)
        assert found.converged
        ours += line.slopes
        peer = Recorded(phi, dphi)
        step, *_ = dcsrch.DCSRCH(
            lambda a, p=peer: p.value(float(a)).value, peer.dphi, 1e-4, c2, 1e-14, 1e-100, 1e100
        )(first, peer.start.value, peer.start.slope, 100)
        assert step is not None
        theirs += len(peer.trials)
    assert ours <= theirs


@pytest.mark.parametrize("first", [1e-3, 1.0, 50.0])
@pytest.mark.parametrize("name", ["parabola", "quartic", "steep wall", "barrier"])
def test_brent_finds_scipys_minimum(name, first):
    optimize = pytest.importorskip("scipy.optimize")
    phi, dphi = LINES[name]
    found, line = run(Brent(), phi, dphi, first)
    peer = optimize.minimize_scalar(
        phi, bracket=(0.0, 0.8, 0.999 if name == "barrier" else 3.0), method="brent"
    )
    assert found.converged
    # both know α to 1.5e-8 where φ is not flatter than a parabola; of a quartic the values tell 1e-4
    assert found.trial.alpha == pytest.approx(peer.x, rel=1e-3 if name == "quartic" else 5e-8)
    assert found.trial.value <= peer.fun + 4e-16 * max(1.0, abs(peer.fun))
    assert line.values <= (60 if name == "quartic" else 25)


# -- what single searches promise ----------------------------------------------------------------------------


def test_a_fixed_step_is_the_one_said_or_the_first():
    assert run(Fixed(0.25), *LINES["parabola"], 1.0)[0].trial.alpha == 0.25
    assert run(Fixed(), *LINES["parabola"], 0.5)[0].trial.alpha == 0.5
    found, line = run(Fixed(2.5), *LINES["parabola"], 1.0)
    assert (found.trial, found.converged) == (line.start, False)


def test_backtracking_takes_the_first_step_that_will_do_and_the_minimum_of_a_parabola_else():
    assert run(Armijo(), *LINES["parabola"], 1.9)[0].trial.alpha == 1.9
    found, line = run(Armijo(), *LINES["parabola"], 4.0)
    assert found.trial.alpha == 1.0
    assert [t.alpha for t in line.trials] == [4.0, 1.0]


def test_backtracking_meets_the_minimum_of_a_cubic_on_the_second_attempt():
    # α³ − 0.03α has its minimum at 0.1; the first guess, a parabola's, is cut to a tenth of the step
    phi, dphi = (lambda a: a**3 - 0.03 * a), (lambda a: 3.0 * a * a - 0.03)
    _, line = run(Armijo(0.5), phi, dphi, 3.0)
    assert [t.alpha for t in line.trials] == pytest.approx([3.0, 0.3, 0.1], rel=1e-12)
    _, line = run(Armijo(0.5), phi, dphi, 0.3)
    assert [t.alpha for t in line.trials] == pytest.approx([0.3, 0.05], rel=1e-12)


@pytest.mark.parametrize("search", [StrongWolfe(), HagerZhang(epsilon=1e-14)], ids=str)
def test_slopes_decide_where_values_drown(search):
    """1 + d²/2 with d = 1e-9 (1 − α): all values round to 1, up to an ulp of noise that rises."""
    for noise in (0.0, 2.3e-16, -2.3e-16):
        for first in (0.01, 0.3, 1.0, 1.5, 30.0):
            found, line = run(
                search,
                lambda a, noise=noise: 1.0 + (noise if a else 0.0) + 0.5e-18 * (1.0 - a) ** 2,
                lambda a: 1e-18 * (a - 1.0),
                first,
            )
            assert found.converged
            assert abs(found.trial.slope) <= 0.9e-18 or isinstance(search, HagerZhang)
            assert len(line.trials) <= 6


def test_backtracking_takes_a_newton_step_that_values_cannot_judge():
    found, _ = run(Armijo(), lambda a: 1.0 + (2.3e-16 if a else 0.0), lambda a: 1e-18 * (a - 1.0), 1.0)
    assert (found.trial.alpha, found.converged) == (1.0, True)
    assert not run(Armijo(), *LINES["constant"], 1.0)[0].converged


def test_exact_searches_say_when_nothing_can_be_gained():
    for search in (Brent(), GoldenSection()):
        found, line = run(search, *LINES["constant"], 1.0)
        assert not found.converged
        assert "below rounding" in found.message
        assert len(line.trials) <= 60  # halved until α|φ'(0)| is an ulp of φ(0): 52 times


@pytest.mark.parametrize("xtol", [1e-2, 1e-4, 1e-6])
def test_exact_searches_reach_the_tolerance_that_was_asked_for(xtol):
    for search in (Brent(xtol), GoldenSection(xtol)):
        for first in (1e-3, 1.0, 30.0):
            found, _ = run(search, lambda a: a - math.log(a + 0.1), lambda a: 1.0 - 1.0 / (a + 0.1), first)
            assert found.converged
            assert abs(found.trial.alpha - 0.9) <= 2.0 * xtol * found.trial.alpha


def test_steps_back_from_far_outside_are_few():
    """From 1e20, where φ is nan beyond 1.4: by 1/256 at a time, and no farther than needed."""
    for search in (Armijo(), StrongWolfe(), HagerZhang()):
        found, line = run(search, *LINES["nan behind the minimum"], 1e20)
        assert found.converged
        assert len(line.trials) <= 16
        assert found.trial.alpha > 1.4 / 256.0


@pytest.mark.parametrize("search", [StrongWolfe(), HagerZhang(), GoldenSection(), Brent()], ids=str)
@pytest.mark.parametrize("first", [1e-20, 1e20])
def test_first_steps_that_are_wrong_by_twenty_orders_of_magnitude_lead_to_the_minimum(search, first):
    for name in ("parabola", "two valleys", "steep wall", "barrier", "nan behind the minimum"):
        found, _ = run(search, *LINES[name], first)
        assert found.converged
        assert 0.1 < found.trial.alpha < 2.0


def test_options_that_cannot_be_kept_together_are_refused():
    with pytest.raises(OptionError, match="c1 must be less than c2"):
        StrongWolfe(c1=0.2, c2=0.1)
    with pytest.raises(OptionError, match="c1 must not be greater than c2"):
        HagerZhang(c1=0.2, c2=0.1)
    with pytest.raises(OptionError, match="Use c1"):
        HagerZhang(delta=0.1)
    with pytest.raises(OptionError, match=r"c1 must be a finite number > 0 and < 0\.5"):
        StrongWolfe(c1=0.6)
