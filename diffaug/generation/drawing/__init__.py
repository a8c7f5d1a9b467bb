"""From jobs to pictures in the work cache, by a diffusion pipeline."""
