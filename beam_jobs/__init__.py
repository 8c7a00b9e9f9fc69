"""Raw image annotations to TFRecords with WordNet-augmented labels."""
