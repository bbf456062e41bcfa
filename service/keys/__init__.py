"""API keys: what they look like, who holds them, what they may."""
