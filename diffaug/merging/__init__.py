"""Which images are added to the real ones in the treatment, and how they are chosen."""
