"""Diffusion models: where they are, what they may be used for, how they are opened, what they can do."""
