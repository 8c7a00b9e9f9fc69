"""Images that leave a data set, and all that was made beside it."""
