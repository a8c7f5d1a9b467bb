"""From drawn images to scenes, and to the image tables."""
