"""Plans every image as a job, from the parameters, before the first one is drawn."""
