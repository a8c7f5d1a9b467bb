"""Making synthetic images: plan them, draw them, compose them."""
