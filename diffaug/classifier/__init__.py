"""A torchvision ResNet: its network, its training, its predictions."""
