"""VGG19 with its preprocessing, under the module name of Keras."""

from nnx.applications.imagenet_utils import decode_predictions
from nnx.applications.imagenet_utils import preprocess_caffe as preprocess_input
from nnx.applications.vgg import VGG19

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]
