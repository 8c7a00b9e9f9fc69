"""Scores -> probabilities -> tags."""
