"""
What a key looks like: ``linli_SCOPE_`` and 33 letters and digits.

The letters are 160 random bits and a CRC-32 of all before them: a scanner finds a leaked key by its prefix and
knows by the sum that it is one. What is stored is a SHA-256, which needs no salt at 160 bits.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib

__all__ = ["SCOPES", "holds_key", "is_well_formed", "key_digest", "new_key", "redacted"]

SCOPES = ("admin", "merchant", "app", "planner", "station", "crew")
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BITS, _LETTERS, _SUM_LETTERS = 160, 27, 6
_HEAD = re.compile(rf"linli_(?:{'|'.join(SCOPES)})_")
_PATTERN = re.compile(rf"linli_(?:{'|'.join(SCOPES)})_[0-9A-Za-z]{{{_LETTERS + _SUM_LETTERS}}}")


def new_key(scope: str) -> str:
    """Return a new key."""
    head = f"linli_{scope}_{_letters(secrets.randbits(_BITS), _LETTERS)}"
    return head + _sum(head)


def is_well_formed(key: str) -> bool:
    """Tell whether a text is a key by its form and sum, before anyone looks it up."""
    return _PATTERN.fullmatch(key) is not None and _sum(key[:-_SUM_LETTERS]) == key[-_SUM_LETTERS:]


def holds_key(text: str) -> bool:
    """Tell whether a key, or the beginning of one, stands somewhere in a text."""
    return _HEAD.search(text) is not None


def key_digest(key: str) -> str:
    """Return what is stored of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def redacted(text: str) -> str:
    """Return a text with every key in it cut to its scope."""
    return _PATTERN.sub(lambda found: found[0].rsplit("_", 1)[0] + "_[redacted]", text)


def _sum(head: str) -> str:
    return _letters(zlib.crc32(head.encode()), _SUM_LETTERS)


def _letters(number: int, length: int) -> str:
    letters = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[digit])
    return "".join(reversed(letters))
