"""Merchants: who they are, and whether they may serve."""
