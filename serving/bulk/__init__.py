"""Tagging millions of images: the export in a Beam job."""
