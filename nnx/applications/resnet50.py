"""ResNet50 with its preprocessing, under the module name of Keras."""

from nnx.applications.imagenet_utils import decode_predictions
from nnx.applications.imagenet_utils import preprocess_caffe as preprocess_input
from nnx.applications.resnet import ResNet50

__all__ = ["ResNet50", "decode_predictions", "preprocess_input"]
