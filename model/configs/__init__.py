"""Named experiments; each module offers `get_config()`."""
