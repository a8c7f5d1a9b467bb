"""From jobs to images in the work cache, drawn by a diffusion pipeline."""
