"""From predictions on real test images to numbers: each metric as a point, and under resampling."""
