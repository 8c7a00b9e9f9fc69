"""Apache Beam itself: options, runners, shared transforms."""
