"""The detector: Ultralytics' networks, trained under a step budget, as plain tensors and JSON on disk."""
