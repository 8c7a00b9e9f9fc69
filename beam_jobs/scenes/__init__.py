"""Draws the demo's data set: scenes of OpenMoji drawings, as real sources."""
