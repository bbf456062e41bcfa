"""Payments: a port, a sandbox behind it, and what the store knows of them."""
