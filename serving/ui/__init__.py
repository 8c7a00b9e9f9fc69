"""A page in the browser for a running server, without TensorFlow."""
