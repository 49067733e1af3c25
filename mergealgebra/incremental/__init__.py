"""Sums kept from merge to merge: an aggregate in memory, and one on disk that a workspace brings up to date."""
