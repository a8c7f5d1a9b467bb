"""The plan, the sampler, the ways of making an image, the work cache."""
