"""Which classes go together, by predictions or labels."""
