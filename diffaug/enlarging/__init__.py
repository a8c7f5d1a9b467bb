"""Pictures made larger: in tiles, by networks of super-resolution and by upscalers of diffusers."""
