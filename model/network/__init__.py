"""The Keras model, its step on one replica, its metrics."""
