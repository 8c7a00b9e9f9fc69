"""Scores, metrics, calibration and their report."""
