"""Vectors of images, and which images are alike."""
