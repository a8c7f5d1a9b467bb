"""Operations on single images: boxes, cut-outs, squares, canvases, masks, grids."""
