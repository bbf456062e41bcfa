"""Stock over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from service.audit.store import actor_of, record
from service.errors import StateConflictError
from service.http.access import AdminOrMerchant, Anyone, not_found
from service.http.context import RequestContext, services_of
from service.http.idempotency import idempotency_key
from service.http.pages import CursorText, PageSize, next_page, read_cursor
from service.http.problems import invalid
from service.http.revisions import check_if_given, check_match
from service.http.routing import StrictRoute, problems
from service.imports.schemas import ImportDone
from service.imports.store import import_id_of
from service.imports.taking import CSV, IMPORT_PROBLEMS, NDJSON, kind_of_lines, lines_body, take_import
from service.points.routes import own_merchant, owned
from service.points.store import find_point, merchant_lock
from service.points.views import is_public
from service.skus import why_no_sku
from service.stock.counting import lock_points
from service.stock.csv_lines import CsvLines
from service.stock.importing import StockImport
from service.stock.rules import facts_of, why_held
from service.stock.schemas import PublicStock, StockAnswer, StockBody, StockPage
from service.stock.store import delete_entry, find_entry, list_entries, put_entries
from service.stock.views import public_stock, stock_answer, stock_etag

if TYPE_CHECKING:
    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = ["router"]

router = APIRouter(prefix="/v1/points/{point_id}", tags=["stock"], route_class=StrictRoute)

_BODIES = ("invalid-json", "text-invalid", "unsupported-media-type", "payload-too-large")
_LINES = "An entry a line, each with its sku; in CSV, behind a header of the same names. Up to 100 000 lines of up to 256 KiB."


@router.put(
    "/stock/{sku}",
    summary="Count an SKU",
    response_model=StockAnswer,
    responses={
        201: {"model": StockAnswer},
        **problems(*_BODIES, "not-found", "state-conflict", "precondition-failed"),
    },
)
async def put_stock(request: Request, context: AdminOrMerchant, point_id: str, sku: str, body: StockBody) -> Response:
    """
    Say what a point has of an SKU, as counted now; what was said before is replaced.

    What open orders hold stays held: a count of less is refused until those orders are answered. `If-Match` may be
    left out; the ETag changes with each order, and a count is a fact. All that a point has is priced in one currency.
    """
    merchant_id, services = own_merchant(context, point_id), services_of(request)

    def put(connection: WriteConnection) -> tuple[AnyRow | None, bool]:
        _locked(connection, merchant_id, point_id)
        reason = why_no_sku(sku)
        if reason is not None:
            raise invalid("sku", reason)
        before = find_entry(connection, point_id, sku)
        check_if_given(request, None if before is None else stock_etag(before))
        for why in put_entries(connection, merchant_id, point_id, [facts_of(sku, body)]).values():
            raise StateConflictError(why)
        action = "stock.create" if before is None else "stock.replace"
        record(connection, actor_of(context), action, point_id, merchant_id, sku=sku)
        return find_entry(connection, point_id, sku), before is None

    row, is_new = await services.store.write(put, context.deadline)
    stored = _entry(row)
    answer = stock_answer(stored, services.clock.now_us()).model_dump_json()
    return Response(answer, 201 if is_new else 200, {"ETag": stock_etag(stored)}, "application/json")


@router.get("/stock/{sku}", summary="Read what a point has of an SKU", responses=problems("not-found"))
async def get_entry(
    request: Request, response: Response, context: Anyone, point_id: str, sku: str
) -> StockAnswer | PublicStock:
    """Read an entry: all of it as its merchant or an admin, else whether any can be ordered at a public point."""
    services, reads_all = services_of(request), _reads_all(context, point_id)

    def read(connection: ReadConnection) -> AnyRow:
        _check_readable(connection, point_id, reads_all=reads_all)
        return _entry(find_entry(connection, point_id, sku))

    row, now = await services.reads.run(context, read), services.clock.now_us()
    if not reads_all:
        return public_stock(row, now)
    response.headers["ETag"] = stock_etag(row)
    return stock_answer(row, now)


@router.get("/stock", summary="List what a point has", responses=problems("not-found", "cursor-invalid"))
async def get_stock(
    request: Request, context: Anyone, point_id: str, page_size: PageSize = 50, cursor: CursorText = None
) -> StockPage:
    """List what a point has by SKU: all of it as its merchant or an admin, else whether any can be ordered."""
    services, reads_all = services_of(request), _reads_all(context, point_id)
    listed, now = f"stock {point_id} {reads_all}", services.clock.now_us()
    after = read_cursor(services.secret, listed, cursor) or [""]

    def page_of(connection: ReadConnection) -> StockPage:
        _check_readable(connection, point_id, reads_all=reads_all)
        found = list_entries(connection, point_id, after=after[0], limit=page_size + 1)
        page, following = next_page(services.secret, listed, found, page_size, lambda row: [row.sku])
        if reads_all:
            return StockPage(items=[stock_answer(row, now) for row in page], next_cursor=following)
        return StockPage(items=[public_stock(row, now) for row in page], next_cursor=following)

    return await services.reads.run(context, page_of)


@router.delete(
    "/stock/{sku}",
    status_code=204,
    summary="Delete an SKU",
    responses=problems("not-found", "state-conflict", "precondition-failed", "precondition-required"),
)
async def remove_entry(request: Request, context: AdminOrMerchant, point_id: str, sku: str) -> Response:
    """Delete an entry of which no open order holds anything; `If-Match` holds the ETag that was read."""
    merchant_id = own_merchant(context, point_id)

    def remove(connection: WriteConnection) -> None:
        _locked(connection, merchant_id, point_id)
        row = _entry(find_entry(connection, point_id, sku))
        check_match(request, stock_etag(row))
        if row.held:
            raise StateConflictError(why_held(row.held))
        delete_entry(connection, merchant_id, row)
        record(connection, actor_of(context), "stock.delete", point_id, merchant_id, sku=sku)

    await services_of(request).store.write(remove, context.deadline)
    return Response(status_code=204)


@router.post(
    "/stock:import",
    summary="Count many SKUs",
    responses=problems(*IMPORT_PROBLEMS),
    openapi_extra=lines_body(_LINES, NDJSON, CSV),
)
async def post_stock_import(request: Request, context: AdminOrMerchant, point_id: str) -> ImportDone:
    """
    Count many SKUs of a point: a JSON object a line (NDJSON), or CSV.

    CSV has a header, which is a line that changes nothing; an empty field is null, or left out. A bad line, or one that cannot be beside what is there, is reported and leaves the others in. If the stream breaks
    off, send the same again with the same `Idempotency-Key`: it goes on where it was.
    """
    merchant_id = own_merchant(context, point_id)
    table = CsvLines() if kind_of_lines(request, NDJSON, CSV) == CSV else None
    stream = request.stream() if table is None else table.watched(request.stream())
    kind, import_id = StockImport(merchant_id, point_id, table), import_id_of(point_id, idempotency_key(request))
    return await take_import(request, context, stream, kind, import_id)


def _locked(connection: WriteConnection, merchant_id: str, point_id: str) -> None:
    """Lock what a point has, before any of it is read; 404 where there is no such point."""
    merchant_lock(connection, merchant_id)
    owned(find_point(connection, point_id))
    lock_points(connection, [point_id])


def _entry(row: AnyRow | None) -> AnyRow:
    if row is None:
        raise not_found()
    return row


def _reads_all(context: RequestContext, point_id: str) -> bool:
    """Tell whether a caller sees all of a point that he may see; 404 for a merchant about another's."""
    if context.key_holder.scope not in {"admin", "merchant"}:
        return False
    own_merchant(context, point_id)
    return True


def _check_readable(connection: ReadConnection, point_id: str, *, reads_all: bool) -> None:
    found = find_point(connection, point_id)
    if found is None or not (reads_all or is_public(found)):
        raise not_found()
