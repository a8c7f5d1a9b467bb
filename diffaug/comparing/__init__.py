"""Two sides' predictions, of any trainer: read, measured, and compared as the verdict compares arms."""
