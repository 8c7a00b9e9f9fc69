"""The components: thin, each around a plain function of another package."""
