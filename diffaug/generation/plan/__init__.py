"""Every image as a job, from parameters alone, before the first one is drawn."""
