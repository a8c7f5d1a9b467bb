"""Image sets as plain files that other programs read."""
