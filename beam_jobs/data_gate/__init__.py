"""Is a data set fit to be trained on, beside the last that was?"""
