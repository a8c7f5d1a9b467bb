"""The `diffaug` command: one file per command."""
