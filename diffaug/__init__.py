"""Does a training set enlarged by diffusion-generated images help, on real test images?"""
