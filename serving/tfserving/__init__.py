"""Runs exports under TensorFlow Serving."""
