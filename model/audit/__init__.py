"""Labels that are probably wrong, and labels that are probably missing."""
