"""The whole way on drawn scenes, ending with a contact sheet."""
