"""What a feature is: one pattern for what is registered and for what is asked, so that all there is can be asked for."""

from __future__ import annotations

__all__ = ["FEATURE", "FEATURE_VALUE"]

FEATURE_VALUE = r"[^;,\s](?:[^;,\s]| (?=[^;,\s])){0,79}"
"""Up to 80 characters; a space stands alone and inside, as in Burger King."""

FEATURE = rf"[a-z][a-z0-9_]{{0,79}}(?::{FEATURE_VALUE})?"
"""A key, and a value of some: a comma ends a feature in a query, a semicolon does in the store."""
