"""Where the weights of an application are published, and the files with them on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnx.datasets.files import cache_dir
from nnx.errors import OptionError

ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications/"


@dataclass(frozen=True)
class Published:
    """The published files of a network."""

    #: their folder at :data:`ADDRESS`
    folder: str
    #: the name of the file without its end
    stem: str
    no_top: str = "_notop"

    @classmethod
    def usual(cls, name: str, folder: str | None = None) -> Published:
        """Files of the names that most networks have."""
        return cls(folder or name, f"{name}_weights_tf_dim_ordering_tf_kernels")

    def file(self, label: str, weights: Any, include_top: bool, classes: int) -> Any:
        """The path of the weights' file, or None for random weights.

        ``"imagenet"`` is the published file, which nnx does not download: it is searched for by its name.
        Raises :class:`nnx.errors.OptionError` where it is not there, and FileNotFoundError for another path.
        """
        if weights is None:
            return None
        if not isinstance(weights, str | os.PathLike):
            raise OptionError(
                f"{label}: weights must be None (random weights), 'imagenet' or the path of a file, got "
                f"{weights!r}."
            )
        if weights != "imagenet":
            if not Path(weights).is_file():
                raise FileNotFoundError(f"{label}: there is no file {os.fspath(weights)!r} with weights.")
            return weights
        if include_top and classes != 1000:
            raise OptionError(
                f"{label}: the published weights are for 1000 classes, asked for {classes}. Give "
                "include_top=False and put a top of your own on it."
            )
        return self._found(label, self.stem + ("" if include_top else self.no_top) + ".h5")

    def _found(self, label: str, name: str) -> Path:
        folders = search_folders()
        for folder in folders:
            if (folder / name).is_file():
                return folder / name
        raise OptionError(
            f"{label}: weights='imagenet' is the file {name}, which nnx does not download. It lies at "
            f"{ADDRESS}{self.folder}/{name}: download it and give its path as weights=, or put it into one "
            f"of the folders {', '.join(map(str, folders))}. weights=None makes random weights."
        )


def search_folders() -> list[Path]:
    """The folders that published weights are searched for in: nnx's own and Keras'."""
    data, keras = os.environ.get("NNX_DATA_DIR"), os.environ.get("KERAS_HOME")
    own = [Path(data).expanduser() / "applications"] if data else []
    return [*own, cache_dir() / "applications", Path(keras or Path.home() / ".keras") / "models"]
