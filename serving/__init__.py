"""Trained tagger to SavedModel to tags over gRPC and REST."""
