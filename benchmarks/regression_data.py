"""Test errors on real data: Levenberg–Marquardt and Bayesian regularization beside Adam and scikit-learn.

UCI's regressions and Proben1 (see _data.py for the files), the splits that come with the data, one hidden
layer of tanh. Every method and set has a process of its own. ``--sets a,b`` takes some of the sets;
``--write`` puts the tables into docs/regression_data.md.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import _pages
import _turns
import numpy as np
from _data import PROBEN1, SETS, UCI, Part, Proben1, Split, Uci

PAGE = Path(__file__).parents[1] / "docs" / "regression_data.md"
EPOCHS, PATIENCE, ITERATIONS = 2000, 20, 200

Set = Uci | Proben1
Predict = Callable[[np.ndarray], np.ndarray]
Trainer = Callable[[Split, int, int], Predict]


class Run(NamedTuple):
    """The mean squared error on the test part, the share of wrong classes, and how long training took."""

    mse: float
    wrong: float
    seconds: float


def units_for(data: Set) -> int:
    """How many neurons are hidden."""
    return 20 if isinstance(data, Uci) and data.rows >= 1000 else 10


# -- contenders: they train on a split, with so many units, from the start that belongs to a seed ------------


def linear(split: Split, units: int, seed: int) -> Predict:
    """Least squares without a hidden layer, to compare with."""
    x, y = split.both
    w = np.linalg.lstsq(_with_ones(x), y, rcond=1e-5)[0]  # some inputs nearly depend on others
    return lambda x: _with_ones(x) @ w


def _with_ones(x: np.ndarray) -> np.ndarray:
    return np.column_stack([x, np.ones(len(x))])


def network(part: Part, units: int, seed: int, optimizer: str, dtype: str) -> Any:
    """The network in nnx."""
    import nnx

    x, y = part
    layers = [nnx.layers.Dense(units, "tanh", input_shape=x.shape[1:]), nnx.layers.Dense(y.shape[1])]
    model = nnx.Sequential(layers, dtype=dtype, seed=seed)
    model.compile(optimizer, "mse")
    return model


def levenberg_marquardt(split: Split, units: int, seed: int) -> Predict:
    """Ends after six epochs without a better validation error, which is the default."""
    model = network(split.train, units, seed, "levenberg_marquardt", "float64")
    model.fit(*split.train, epochs=ITERATIONS, validation_data=split.valid, verbose=0)
    return model.predict


def bayesian(split: Split, units: int, seed: int) -> Predict:
    """Trains on what the others stop by, too."""
    model = network(split.both, units, seed, "bayesian_regularization", "float64")
    model.fit(*split.both, epochs=ITERATIONS, verbose=0)
    return model.predict


def adam(split: Split, units: int, seed: int) -> Predict:
    import nnx

    model = network(split.train, units, seed, "adam", "float32")
    stop = nnx.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)
    model.fit(*split.train, epochs=EPOCHS, validation_data=split.valid, verbose=0, callbacks=stop)
    return model.predict


def sklearn(solver: str, split: Split, units: int, seed: int) -> Predict:
    """MLPRegressor; it chooses itself what to stop by, of the same size, and L-BFGS does not stop early."""
    from sklearn.neural_network import MLPRegressor

    x, y = split.both
    share = len(split.valid[0]) / len(x)
    early = {"early_stopping": True, "validation_fraction": share, "n_iter_no_change": PATIENCE, "tol": 0.0}
    model = MLPRegressor(
        hidden_layer_sizes=(units,),
        activation="tanh",
        solver=solver,
        random_state=seed,
        max_iter=EPOCHS if solver == "adam" else ITERATIONS,
        **(early if solver == "adam" else {}),
    )
    with warnings.catch_warnings(action="ignore"):  # that it did not converge in so many iterations
        model.fit(x, y if y.shape[1] > 1 else y[:, 0])
    return lambda x: model.predict(x).reshape(len(x), -1)


CONTENDERS: dict[str, Trainer] = {
    "linear": linear,
    "LM": levenberg_marquardt,
    "Bayesian": bayesian,
    "Adam": adam,
    "sklearn Adam": partial(sklearn, "adam"),
    "sklearn L-BFGS": partial(sklearn, "lbfgs"),
}


def run(name: str, train: Trainer) -> list[Run]:
    """A contender on all splits of a set."""
    data = SETS[name]
    units, found = units_for(data), []
    splits = [data.split(number) for number in range(data.splits)]
    small = splits[0].train[0][:20], splits[0].train[1][:20]
    train(Split(small, small, small), 2, 0)  # what is imported at the first use
    for seed, split in enumerate(splits):
        start = time.perf_counter()
        predict = train(split, units, seed)
        seconds = time.perf_counter() - start
        x, y = split.test
        answer = np.asarray(predict(x), dtype=float)
        wrong = np.mean(np.argmax(answer, axis=1) != np.argmax(y, axis=1))
        found.append(Run(float(np.mean((answer - y) ** 2)), float(wrong), seconds))
    return found


# -- tables -------------------------------------------------------------------------------------------------

Results = dict[str, dict[str, list[Run]]]  # by set and contender


def rmse(run: Run) -> float:
    return math.sqrt(run.mse)


def percent(run: Run) -> float:
    """Prechelt's squared error percentage, for targets from 0 to 1."""
    return 100.0 * run.mse


def wrong(run: Run) -> float:
    return 100.0 * run.wrong


def table(results: Results, names: list[str], what: Callable[[Run], float], digits: int) -> Iterator[str]:
    """Means over the splits ± their standard errors, the best in bold, and each contender's mean rank."""
    yield "| set | rows | inputs | outputs | weights | splits | " + " | ".join(CONTENDERS) + " |"
    yield "|---|" + "---:|" * (5 + len(CONTENDERS))
    ranks = []
    for name in names:
        values = {who: [what(run) for run in runs] for who, runs in results[name].items()}
        means = {who: statistics.fmean(v) for who, v in values.items()}
        order = sorted(means, key=means.__getitem__)
        ranks.append({who: order.index(who) + 1 for who in means})
        cells = (_cell(values.get(who, []), digits, who == order[0]) for who in CONTENDERS)
        yield f"| {_described(SETS[name])} | " + " | ".join(cells) + " |"
    placed = ([rank[who] for rank in ranks if who in rank] for who in CONTENDERS)
    cells = (f"{statistics.fmean(places):.1f}" if places else "" for places in placed)
    yield "| mean rank | | | | | | " + " | ".join(cells) + " |"


def _described(data: Set) -> str:
    x, y = data.split(0).train
    weights = (x.shape[1] + 1) * units_for(data) + (units_for(data) + 1) * y.shape[1]
    return f"{data.name} | {data.rows} | {x.shape[1]} | {y.shape[1]} | {weights} | {data.splits}"


def _cell(values: list[float], digits: int, best: bool) -> str:
    if not values:
        return ""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    text = f"{statistics.fmean(values):.{digits}f} ± {error:.{digits}f}"
    return f"**{text}**" if best else text


def times(results: Results) -> Iterator[str]:
    """Seconds of a training, the mean over the splits."""
    yield "| set | " + " | ".join(CONTENDERS) + " |"
    yield "|---|" + "---:|" * len(CONTENDERS)
    for name, runs in results.items():
        spent = ([run.seconds for run in runs.get(who, [])] for who in CONTENDERS)
        yield f"| {name} | " + " | ".join(f"{statistics.fmean(s):.2f}" if s else "" for s in spent) + " |"


def tables(results: Results) -> Iterator[str]:
    uci, proben1 = ([name for name in names if name in results] for names in (UCI, PROBEN1))
    classes = [name for name in proben1 if SETS[name].classes]  # type: ignore[union-attr]
    for title, names, what, digits in (
        ("UCI: root of the mean squared error, in standard deviations of the targets", uci, rmse, 3),
        ("Proben1: squared error percentage", proben1, percent, 2),
        ("Proben1: percentage of wrong classes", classes, wrong, 1),
    ):
        if names:
            yield f"### {title}\n"
            yield from table(results, names, what, digits)
            yield ""
    yield "### Seconds of a training\n"
    yield from times(results)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default=",".join(SETS), help="names, separated by commas")
    parser.add_argument("--write", action="store_true", help="renew the tables in docs/")
    sets = parser.parse_known_args()[0].sets.split(",")
    cases = {(name, who): f"{name} {who}" for name in sets for who in CONTENDERS}
    contenders = {case: partial(run, name, CONTENDERS[who]) for (name, who), case in cases.items()}
    for name in sets:
        SETS[name].split(0)  # says now what is missing
    done, missing = _turns.in_turns(__file__, contenders, __doc__ or "", turns=1, parser=parser)
    results: Results = {}
    for (name, who), case in cases.items():
        if done.get(case):
            results.setdefault(name, {})[who] = [Run(*r) for r in done[case][0]]
    text = "\n".join(tables(results))
    print(text)
    for case in missing:
        print(_turns.not_run(case, missing))
    if parser.parse_args().write:
        _pages.write_table(PAGE, text)


if __name__ == "__main__":
    main()
