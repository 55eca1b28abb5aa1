"""Which published files a data set consists of, where they are offered, and their checksums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """The files of one data set.

    ``sha256`` maps a file's name to two checksums: of the published ``.gz`` file and of its content,
    because browsers like to unpack what they download.
    """

    title: str
    folders: tuple[str, ...]  #: names of its folder inside ``NNX_DATA_DIR``; the first is the cache's
    mirrors: tuple[str, ...]  #: addresses that a file's name is appended to, tried in this order
    sha256: Mapping[str, tuple[str, str]]


TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"

MNIST = Source(
    title="MNIST",
    folders=("mnist",),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    sha256={
        TRAIN_IMAGES: (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        TRAIN_LABELS: (
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        TEST_IMAGES: (
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        TEST_LABELS: (
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    },
)

FASHION_MNIST = Source(
    title="Fashion-MNIST",
    folders=("fashion-mnist", "fashion_mnist"),
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    sha256={
        TRAIN_IMAGES: (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        TRAIN_LABELS: (
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        TEST_IMAGES: (
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        TEST_LABELS: (
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    },
)

CLASS_INDEX = "imagenet_class_index.json"
_CLASS_INDEX = "a1e7a966a1f601d39e4b43e119b3e7dd4a2ad3ea08cf69847cbaf021013767bc"

#: not a data set: what the classes of ImageNet are called
IMAGENET_CLASSES = Source(
    title="ImageNet's classes",
    folders=("imagenet",),
    mirrors=("https://storage.googleapis.com/download.tensorflow.org/data/",),
    sha256={CLASS_INDEX: (_CLASS_INDEX, _CLASS_INDEX)},
)

SOURCES = (MNIST, FASHION_MNIST)
