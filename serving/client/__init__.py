"""Tags images on a server, without TensorFlow."""
