"""The schema's history: one module a step, each says whether it runs before or after the new code."""
