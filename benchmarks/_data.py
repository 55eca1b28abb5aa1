"""Real data with the splits that come with it: UCI's regressions, and Prechelt's Proben1.

The files lie below the folder that ``NNX_DATA_DIR`` names: ``uci-regression/<set>/`` with ``data.csv.gz`` and
``test_mask.csv.gz`` as in github.com/treforevans/uci_datasets, and ``proben1/<kind>/<set>.dt`` (L. Prechelt,
PROBEN1, report 21/94, Universität Karlsruhe, 1994). Inputs are standardised by what is trained on.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnx.utils import StandardScaler, train_test_split

Part = tuple[np.ndarray, np.ndarray]


class Split(NamedTuple):
    """Inputs and targets to train on, to stop by, and to test with."""

    train: Part
    valid: Part
    test: Part

    @property
    def both(self) -> Part:
        """What is there for methods that need no validation, or choose it themselves."""
        (x, y), (u, v) = self.train, self.valid
        return np.concatenate([x, u]), np.concatenate([y, v])


@dataclass(frozen=True)
class Uci:
    """A regression with ten splits; targets are standardised as well, so errors are in their deviations."""

    name: str
    #: of sets with more rows only ``few`` splits are taken, and this many rows trained on
    most: int = 10_000
    few: int = 3

    @cached_property
    def _columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        place = folder("uci-regression") / self.name
        table, mask = (np.loadtxt(place / f"{name}.csv.gz", delimiter=",") for name in ("data", "test_mask"))
        return table[:, :-1], table[:, -1:], mask.astype(bool)

    @property
    def rows(self) -> int:
        return len(self._columns[0])

    @property
    def splits(self) -> int:
        return 10 if self.rows < self.most / 2 else self.few

    def split(self, number: int) -> Split:
        """The split of that number; 15 % of what is there for training is to stop by."""
        x, y, mask = self._columns
        test = mask[:, number]
        scalers = StandardScaler().fit(x[~test]), StandardScaler().fit(y[~test])
        x, y = (scaler.transform(a) for scaler, a in zip(scalers, (x, y), strict=True))
        rest = x[~test], y[~test]
        x_train, x_valid, y_train, y_valid = train_test_split(*rest, test_size=0.15, seed=number)
        if self.rows > 2 * self.most:
            x_train, y_train = x_train[: self.most], y_train[: self.most]
        return Split((x_train, y_train), (x_valid, y_valid), (x[test], y[test]))


@dataclass(frozen=True)
class Proben1:
    """A problem in its three orders; targets are 0 or 1 for classes, else numbers from 0 to 1."""

    name: str
    splits: int = 3

    @property
    def kind(self) -> str:
        """The folder: four sets are about the same patients."""
        return "heart" if self.name.startswith("heart") else self.name

    def _read(self, number: int) -> tuple[dict[str, int], np.ndarray]:
        path = folder("proben1") / self.kind / f"{self.name}{number + 1}.dt"
        lines = path.read_text(encoding="ascii").splitlines()
        head = {name: int(count) for name, count in (line.split("=") for line in lines[:7])}
        return head, np.loadtxt(lines[7:])

    @cached_property
    def classes(self) -> bool:
        """Whether it is about classes."""
        return self._read(0)[0]["bool_out"] > 1

    @cached_property
    def rows(self) -> int:
        return len(self._read(0)[1])

    def split(self, number: int) -> Split:
        """The order of that number: half to train on, a quarter to stop by, a quarter to test with."""
        head, table = self._read(number)
        inputs, train = head["bool_in"] + head["real_in"], head["training_examples"]
        x, y = table[:, :inputs], table[:, inputs:]
        x = StandardScaler().fit(x[:train]).transform(x)
        cuts = [train, train + head["validation_examples"]]
        return Split(*zip(np.split(x, cuts), np.split(y, cuts), strict=True))


def folder(name: str) -> Path:
    """The folder of a collection; ends the program where it is not there."""
    root = os.environ.get("NNX_DATA_DIR")
    if root and (Path(root) / name).is_dir():
        return Path(root) / name
    found = f"NNX_DATA_DIR is {root!r}" if root else "NNX_DATA_DIR is not set"
    raise SystemExit(f"There is no folder '{name}' with the data: {found}. {__doc__}")


UCI = (
    *("airfoil", "autompg", "autos", "bike", "concreteslump", "elevators", "forest", "housing", "kin40k"),
    *("machine", "pendulum", "pol", "pumadyn32nm", "servo", "solar", "stock"),
)
PROBEN1 = (
    *("building", "cancer", "card", "diabetes", "flare", "gene", "glass", "heart", "hearta", "heartac"),
    *("heartc", "horse", "soybean", "thyroid"),
)
SETS: dict[str, Uci | Proben1] = {name: Uci(name) for name in UCI} | {name: Proben1(name) for name in PROBEN1}
