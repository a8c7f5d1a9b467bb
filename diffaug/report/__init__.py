"""The output for readers: the table of the verdict, plots, sheets of images."""
