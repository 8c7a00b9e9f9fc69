"""TFRecords to a trained and evaluated multi-label image tagger."""
