"""The generator: what it learns from, and a small Stable Diffusion trained from random weights."""
