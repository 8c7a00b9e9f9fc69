"""The data set on disk: folder, manifest, record."""
