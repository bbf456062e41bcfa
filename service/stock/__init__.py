"""What a point has, by SKU."""
