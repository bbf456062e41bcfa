"""Bulk upserts: many points in one stream, taken up again where it broke off."""
