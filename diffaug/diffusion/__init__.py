"""Diffusion models: opening them, their schedulers, and what they can do."""
