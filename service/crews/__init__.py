"""Who comes, and for what: crews and services of points."""
