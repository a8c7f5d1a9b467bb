"""What is done to single pictures: boxes, cut-outs, squares, canvases, masks, grids."""
