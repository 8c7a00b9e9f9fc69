"""Vocabulary and hierarchy: which classes there are, and why."""
