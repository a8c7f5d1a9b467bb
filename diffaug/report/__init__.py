"""What people read and look at: the verdict's table, plots, sheets of images."""
