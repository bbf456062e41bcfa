"""All facts in one file, and back."""
