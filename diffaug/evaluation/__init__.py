"""From predictions on real test images to numbers: each metric once as a point, once under resampling."""
