"""Where real data come from: one file a source, all giving the same records."""
