"""Draws the demo's data set: scenes of OpenMoji pictures, as real sources."""
