"""Room 4b: the networks of Keras' ``applications``, with its names of layers, order of weights and arguments.

Each is a function that gives a :class:`nnx.Model`. Its arguments, which are Keras':

- ``include_top``: with the classifier at its end, or without, for features.
- ``weights``: None for random ones; the path of a file with weights of this network (Keras' published
  ``.h5``, ``.weights.h5`` or ``.keras`` of one's own, nnx's ``.safetensors``); ``"imagenet"``, the default,
  is the published file, which is searched for by its name in ``$NNX_DATA_DIR/applications``, in the folder
  ``applications`` of nnx's cache, and where Keras keeps it (``~/.keras/models``). It is not downloaded: where
  it is missing, the error says where it is published.
- ``input_tensor``: a symbol that the pictures come from; ``input_shape``: (height, width, channels). Without
  both, pictures have the size that the network was published for. (Keras without a top leaves the size open.)
- ``pooling`` without a top: None gives features of each place, "avg" their means, "max" their largest.
- ``classes``, a whole number ≥ 1, and ``classifier_activation`` (None: logits) are those of the top. With
  weights the latter is ``"softmax"`` or None.
- ``name``: the model's. ``backend``, ``device``, ``dtype`` and ``seed`` are those of every model.

They raise :class:`nnx.errors.OptionError` for other values, :class:`nnx.errors.ShapeError` for pictures that
are too small, FileNotFoundError where there is no such file, and what ``load_weights`` raises for a file that
does not fit. Each has a module as in Keras, with its ``preprocess_input`` and ``decode_predictions``.
"""

from nnx import datasets  # noqa: F401 (whole rooms first)
from nnx.applications import (
    imagenet_utils,
    inception_resnet_v2,
    inception_v3,
    mobilenet,
    mobilenet_v2,
    resnet,
    resnet50,
    resnet_v2,
    vgg16,
    vgg19,
    xception,
)
from nnx.applications.inception_resnet_v2 import InceptionResNetV2
from nnx.applications.inception_v3 import InceptionV3
from nnx.applications.mobilenet import MobileNet
from nnx.applications.mobilenet_v2 import MobileNetV2
from nnx.applications.resnet import ResNet50, ResNet101, ResNet152
from nnx.applications.resnet_v2 import ResNet50V2, ResNet101V2, ResNet152V2
from nnx.applications.vgg import VGG16, VGG19
from nnx.applications.xception import Xception

__all__ = [
    "VGG16",
    "VGG19",
    "InceptionResNetV2",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "ResNet50",
    "ResNet50V2",
    "ResNet101",
    "ResNet101V2",
    "ResNet152",
    "ResNet152V2",
    "Xception",
    "imagenet_utils",
    "inception_resnet_v2",
    "inception_v3",
    "mobilenet",
    "mobilenet_v2",
    "resnet",
    "resnet50",
    "resnet_v2",
    "vgg16",
    "vgg19",
    "xception",
]
