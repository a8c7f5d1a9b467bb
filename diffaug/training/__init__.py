"""Shared by both trainings: the order of the images, the treatment, the training curve."""
