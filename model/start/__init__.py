"""What a training starts from instead of random weights."""
