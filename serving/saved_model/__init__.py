"""A trained tagger -> a SavedModel that is ready to be served."""
