"""The image table: records, their provenance, and pictures as bytes."""
