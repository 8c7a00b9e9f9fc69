"""Do the images of today look as those the model was made for?"""
