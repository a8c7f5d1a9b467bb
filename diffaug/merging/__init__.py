"""What joins the real images in the treatment, and which images are chosen."""
