"""Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747): the default images, a row of the torchvision table."""

from diffaug.params.download import FashionMnist
from diffaug.sources.real import Inputs, RealData
from diffaug.sources.torchvision import few_shot


def read_cls(source: FashionMnist, inputs: Inputs) -> RealData:
    """A few images per class: train, val and the pool from the 60,000 training images, test from the 10,000 others."""
    return few_shot(source, "fashion_mnist", inputs)
