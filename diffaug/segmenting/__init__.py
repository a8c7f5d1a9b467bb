"""Finding the objects of images: by a plain background, GrabCut, or a network."""
