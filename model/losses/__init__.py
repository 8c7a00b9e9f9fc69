"""Independent sigmoids: what a pair of image and class costs."""
