"""Readers of raw annotations; all yield AnnotatedImage."""
