"""A client of event streams, as small as can be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass
class Event:
    """One block of a stream; `name` is empty where it is a comment or an id alone."""

    id: str = ""
    name: str = ""
    data: str = ""
    comments: list[str] = field(default_factory=list)


def events_of(lines: Iterable[str]) -> Iterator[Event]:
    """Give the blocks of a stream in order."""
    event, is_empty = Event(), True
    for line in lines:
        if not line:
            if not is_empty:
                yield event
            event, is_empty = Event(), True
            continue
        is_empty = False
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            event.id = value
        elif name == "event":
            event.name = value
        elif name == "data":
            event.data += value
        elif not name:
            event.comments.append(value)
