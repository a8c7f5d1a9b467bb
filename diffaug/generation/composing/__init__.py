"""From drawn pictures to scenes, and to the image tables."""
