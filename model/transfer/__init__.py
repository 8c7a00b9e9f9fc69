"""What a tagger learned, on other tasks (paper, section 4)."""
