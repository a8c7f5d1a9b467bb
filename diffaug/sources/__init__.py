"""The sources of real data: one file per source, all returning the same records."""
