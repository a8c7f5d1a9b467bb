"""What both trainings share: the order of the images, the treatment, the training curve."""
