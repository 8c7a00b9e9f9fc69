"""Shipped training configs; each module offers get_config()."""
