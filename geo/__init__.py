"""Places and shapes: H3 cells, coordinate datums, distance, service areas. Knows nothing of orders."""
