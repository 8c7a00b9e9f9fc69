"""Lists of URLs -> checked images."""
