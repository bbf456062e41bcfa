"""Open map files, and say what is wrong with those that cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import osmium

from geo.errors import MapFileError

__all__ = ["OSM_SUFFIXES", "open_osm"]

OSM_SUFFIXES = (".osm.pbf", ".pbf", ".osm", ".osm.gz", ".osm.bz2")


@contextmanager
def open_osm(path: str | Path) -> Iterator[Any]:
    """
    Give an `osmium.FileProcessor` of an OSM file, to be used within the block.

    Raises
    ------
    MapFileError
        If the file is missing, of another kind, broken off, not sorted, no UTF-8, or holds several versions of an object;
        also while the block reads it.
    """
    file = Path(path)
    if not file.is_file():
        reason = "must be a file, is a folder" if file.is_dir() else "must exist, there is no such file"
        raise MapFileError(str(file), reason, value=file)
    suffix = next((suffix for suffix in OSM_SUFFIXES if file.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise MapFileError(str(file), f"must end in one of {', '.join(OSM_SUFFIXES)}", value=file)
    try:
        # The format is told, since osmium knows suffixes in small letters alone.
        processor = osmium.FileProcessor(osmium.io.File(str(file), suffix.removeprefix(".")))
        if processor.header.has_multiple_object_versions:
            raise MapFileError(str(file), "must hold one version of each object, is a history file", value=file)
        yield processor
    except RuntimeError as error:
        reason = f"cannot be read as OSM data, or is broken off: {error}"
        if "out of order" in str(error):
            reason = f"must be sorted by type and id, as `osmium sort` does it: {error}"
        raise MapFileError(str(file), reason, value=file) from error
    except UnicodeDecodeError as error:
        raise MapFileError(str(file), f"must be in UTF-8, has a text that is none: {error}", value=file) from error
