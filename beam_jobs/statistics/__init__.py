"""What a data set holds, counted and shown."""
