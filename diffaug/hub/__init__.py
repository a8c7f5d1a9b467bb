"""From the name of a model to its checked files on this disk; its licence; initial weights."""
