"""A TFX pipeline that runs the functions of the other packages."""
