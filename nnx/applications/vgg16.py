"""VGG16 with its preprocessing, under the module name of Keras."""

from nnx.applications.imagenet_utils import decode_predictions
from nnx.applications.imagenet_utils import preprocess_caffe as preprocess_input
from nnx.applications.vgg import VGG16

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]
