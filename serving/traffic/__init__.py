"""What is noted and counted of answered images."""
