"""The image table: records, their provenance, and encoded images."""
