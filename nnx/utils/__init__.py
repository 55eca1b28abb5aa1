"""Preparing data: one-hot labels, seeds, splitting, standardising, loading piece by piece.

Arrays of any library stay in their library and on their device; lists become NumPy arrays, because data
live on the host until the training loop moves them.
"""

from nnx.utils.labels import to_categorical
from nnx.utils.prefetch import Prefetch
from nnx.utils.py_dataset import PyDataset
from nnx.utils.scaling import StandardScaler, normalize
from nnx.utils.seeds import set_random_seed
from nnx.utils.splitting import train_test_split

__all__ = [
    "Prefetch",
    "PyDataset",
    "StandardScaler",
    "normalize",
    "set_random_seed",
    "to_categorical",
    "train_test_split",
]
