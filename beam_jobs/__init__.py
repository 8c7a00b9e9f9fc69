"""Raw image annotations to TFRecords with labels closed under WordNet."""
