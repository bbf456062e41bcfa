"""Matches, batches, and explanations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter, ValidationError

from service.http.access import Anyone
from service.http.context import services_of
from service.http.json_bodies import parse_json
from service.http.problems import ProblemError, Trouble, invalid
from service.http.query_text import read_query
from service.http.routing import problems, validation_problem
from service.matching import examples
from service.matching.arrow_batches import ARROW, OPTIONS, answer_arrow
from service.matching.asks import Ask, ask_of, check_offer, features_of, now_of, place_in_wgs84, read_ask, times_of
from service.matching.explaining import explain_to
from service.matching.items import items_of
from service.matching.parameters import MAX_BATCH, OF_STREAMS, POINT, described
from service.matching.replies import reply_to
from service.matching.schemas import BatchAnswer, BatchAsk, BatchBody, ExplainAnswer, MatchAnswer
from service.matching.single_route import dump

if TYPE_CHECKING:
    import datetime as dt

    from service.deadlines import Deadline
    from service.services import Services

__all__ = ["BODIES", "router"]

BODIES = (BatchBody,)
"""What routes read by themselves, for the description of the API."""

_JSON = "application/json"
_BODY = TypeAdapter(BatchBody)
_STREAM = {"schema": {"type": "string", "format": "binary"}}
_TAKES = {
    "parameters": [parameter.described() for parameter in OF_STREAMS],
    "requestBody": {
        "required": True,
        "content": {
            _JSON: {"schema": {"$ref": "#/components/schemas/BatchBody"}, "example": examples.BATCH},
            ARROW: _STREAM,
        },
    },
}

router = APIRouter(tags=["matching"])  # each reads its own query and body, as strictly as StrictRoute


@router.get(
    "/v1/match",
    summary="Who can serve this place, at this time",
    response_model=MatchAnswer,
    openapi_extra={"parameters": described()},
    responses={
        200: {
            "content": {
                _JSON: {"examples": {"matched": {"value": examples.MATCHED}, "nobody": {"value": examples.NOBODY}}}
            }
        },
        **problems("coordinate-out-of-range", "text-invalid"),
    },
)
async def match_one(request: Request, context: Anyone) -> Response:
    """
    Answer one question: the nearest points that can really serve, and what each promises.

    Where nobody can: the nearest points that were refused, one for each reason; when the next one opens; and what would
    help, which was asked of the index too, so that it is true.
    """
    # The gate answers most of these past the framework, with the same functions.
    services = services_of(request)
    ask = ask_of(request.scope["query_string"], services)._replace(deadline=context.deadline)
    threads = services.long_matches if ask.split > 1 else services.matches
    return Response(dump(await threads.run(context, reply_to, services, ask)), media_type=_JSON)


@router.post(
    "/v1/match:batch",
    summary="Match many places",
    openapi_extra=_TAKES,
    responses={
        200: {"model": BatchAnswer, "content": {_JSON: {"example": examples.BATCH_ANSWER}, ARROW: _STREAM}},
        **problems(
            "invalid-json",
            "batch-too-large",
            "payload-too-large",
            "unsupported-media-type",
            "unsupported-encoding",
            "coordinate-out-of-range",
            "text-invalid",
        ),
    },
)
async def match_batch(request: Request, context: Anyone) -> Response:
    """
    Answer up to 100 questions as JSON, or up to 20 000 places as an Arrow IPC stream.

    An Arrow stream has the columns `lat`, `lng`, `offer` and, if wanted, `at`, `quantity`, `features`; what holds for
    all of them (`datum`, `max_distance_m`, `unknown_hours`) stands in the query, which questions as JSON do not have:
    theirs stands in the body. Its answer has a row for each row: `status` (`matched`, or the reason of the nearest
    point that has the offer), `point_id`, `distance_m`, and the promise; `index_version` stands in the metadata of its
    schema.
    """
    services, deadline = services_of(request), context.deadline
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    query = request.scope["query_string"]
    if kind == ARROW:
        told = await services.long_matches.run(context, answer_arrow, services, body, query, deadline)
        return Response(told, media_type=ARROW)
    if kind != _JSON:
        text = f"must be {_JSON} or {ARROW}, got {kind or 'no Content-Type'}"
        raise ProblemError("unsupported-media-type", text, (Trouble("Content-Type", text),))
    for name in read_query(query, OPTIONS):
        raise invalid(name, "stands in the query of an Arrow stream alone: of questions as JSON it stands in the body")
    asks = _asks(services, parse_json(body))
    return Response(
        dump(await services.long_matches.run(context, _answers, services, asks, deadline)), media_type=_JSON
    )


def _answers(services: Services, asks: list[Ask], deadline: Deadline) -> dict[str, Any]:
    answers = []
    for ask in asks:
        deadline.demand()
        answers.append(reply_to(services, ask._replace(deadline=deadline)))
    return {"answers": answers}


def _asks(services: Services, given: Any) -> list[Ask]:
    n_asks = len(given["asks"]) if isinstance(given, dict) and isinstance(given.get("asks"), list) else 0
    if n_asks > MAX_BATCH:
        raise ProblemError(
            "batch-too-large", f"at most {MAX_BATCH} questions are taken, got {n_asks}; Arrow takes more"
        )
    try:
        body = _BODY.validate_python(given)
    except ValidationError as error:
        found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise validation_problem(found, model=BatchBody) from error
    now = now_of(services)
    return [_ask(services, one, body.datum, now, f"/asks/{number}") for number, one in enumerate(body.asks)]


def _ask(services: Services, one: BatchAsk, datum: str, now: dt.datetime, where: str) -> Ask:
    lat, lng = place_in_wgs84(one.lat, one.lng, datum, where)
    check_offer(services, one.offer, f"{where}/offer")
    at, asked_at = times_of(now, one.at, f"{where}/at")
    features = features_of(one.features, f"{where}/features")
    return Ask(
        lat,
        lng,
        one.offer,
        at,
        asked_at,
        one.quantity,
        one.k,
        one.max_distance_m,
        features,
        one.unknown_hours,
        datum,
        items_of([(item.sku, item.quantity) for item in one.items], f"{where}/items"),
        one.split,
    )


@router.get(
    "/v1/match:explain",
    summary="Why this point, and why not a nearer one",
    response_model=ExplainAnswer,
    openapi_extra={"parameters": described(POINT)},
    responses={
        200: {"content": {_JSON: {"example": examples.EXPLAINED}}},
        **problems("not-found", "coordinate-out-of-range", "text-invalid"),
    },
)
async def match_explain(request: Request, context: Anyone) -> Response:
    """
    Explain a match: the parameters of `GET /v1/match`, and `point`, a point of your own that asks "why am I not found?".

    An app learns a code for each nearer point; a merchant everything about own points and a code for others'; an
    operator everything.
    """
    services = services_of(request)
    ask, found = read_ask(request.scope["query_string"], services, also=frozenset({POINT.name}))
    told = await explain_to(services, context, ask, found.get(POINT.name))
    return Response(dump(told), media_type=_JSON)
