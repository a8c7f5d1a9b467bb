"""Trains models/generator: a small Stable Diffusion trained from random weights, or a LoRA on a given model."""
