"""Logs as JSON lines: request ids, no secret, no place finer than an H3 cell of resolution 8."""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from service.keys.formats import redacted

if TYPE_CHECKING:
    from collections.abc import MutableMapping

__all__ = ["set_up_logs"]

_MOST_CHARS = 4000
_FINE = re.compile(r"(?<![0-9.])(?<![0-9]:)-?[0-9]{1,3}\.[0-9]{4,}")  # as only places are written; no second of a time
_LIBRARIES = ("uvicorn", "uvicorn.error", "uvicorn.access", "sqlalchemy", "alembic", "asyncio")


def set_up_logs(level: str) -> None:
    """Let every record of this process go to standard error as one line of JSON."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _without_secrets_and_places,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), structlog.stdlib.ExtraAdder(), *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _without_secrets_and_places, _as_json],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(_is_no_end)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells which plugins it has
    for name in _LIBRARIES:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("sqlalchemy").setLevel("WARNING")  # it tells values of statements
    logging.getLogger("uvicorn.access").disabled = True  # it tells the query, where places are
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _is_no_end(record: logging.LogRecord) -> bool:
    """Pass by what tells that this process was told to end: a library that closes something then calls it an error."""
    return record.exc_info is None or not isinstance(record.exc_info[1], SystemExit)


def _without_secrets_and_places(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _FINE.sub("[place]", redacted(value)[:_MOST_CHARS])
        elif isinstance(value, float):
            event[name] = round(value, 3)
    return event


def _as_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(dict(event), default=str, option=orjson.OPT_NON_STR_KEYS).decode("utf-8", "replace")
