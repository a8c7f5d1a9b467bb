"""Writes image sets as plain files for other programs."""
