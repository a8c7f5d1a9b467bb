"""One file per score; the policy that turns scores into a verdict on each image."""
