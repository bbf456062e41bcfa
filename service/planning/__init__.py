"""What planners ask: who is served, how far, and where nobody is."""
