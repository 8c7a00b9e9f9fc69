"""What both sides of a request agree on."""
