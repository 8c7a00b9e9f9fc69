"""Several processes at one work: who they are, and how they meet."""
