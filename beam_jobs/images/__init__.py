"""Where the bytes of an image lie, and whether they are an image."""
