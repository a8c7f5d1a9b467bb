"""The detector: Ultralytics' networks, trained under a step budget, stored as plain tensors and JSON."""
