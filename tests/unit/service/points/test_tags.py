from __future__ import annotations

import pytest

from engine.norms import load_norms
from service.errors import BadFileError
from service.points.tags import Left, TagTable, Taken, load_tag_table


@pytest.fixture(scope="module")
def table() -> TagTable:
    return load_tag_table()


def _taken(table: TagTable, **tags: str) -> Taken:
    judged = table.judge({key.replace("__", ":"): value for key, value in tags.items()})
    assert isinstance(judged, Taken), judged
    return judged


def _offers(table: TagTable, **tags: str) -> set[str]:
    return set(_taken(table, **tags).offers)


@pytest.mark.parametrize(
    ("tags", "kind", "offers"),
    [
        ({"shop": "clothes"}, "store", {"retail/pickup"}),
        ({"shop": "clothes", "delivery": "yes"}, "store", {"retail/pickup", "retail/delivery"}),
        ({"shop": "yes"}, "store", {"retail/pickup"}),
        ({"shop": "supermarket"}, "store", {"retail/pickup", "fresh_food/pickup", "fresh_food/delivery"}),
        ({"shop": "bakery"}, "store", {"retail/pickup", "fresh_food/pickup"}),
        ({"shop": "bakery", "amenity": "cafe"}, "store", {"retail/pickup", "fresh_food/pickup", "food_service/pickup"}),
        ({"amenity": "marketplace"}, "store", {"fresh_food/pickup"}),
        ({"amenity": "restaurant"}, "store", {"food_service/pickup", "food_service/delivery"}),
        ({"amenity": "cafe"}, "store", {"food_service/pickup"}),
        ({"amenity": "pub", "takeaway": "yes"}, "store", {"food_service/pickup"}),
        ({"shop": "laundry"}, "store", {"laundry/pickup"}),
        ({"shop": "dry_cleaning", "delivery": "yes"}, "store", {"laundry/pickup", "laundry/onsite"}),
        ({"craft": "cleaning"}, "depot", {"housekeeping/onsite"}),
        ({"office": "moving_company"}, "depot", {"housekeeping/onsite"}),
        ({"craft": "electronics_repair"}, "store", {"appliance_repair/pickup", "appliance_repair/onsite"}),
        ({"craft": "hvac"}, "depot", {"appliance_repair/onsite"}),
        ({"amenity": "cinema"}, "venue", {"ticketing/ticket"}),
        ({"tourism": "museum"}, "venue", {"ticketing/ticket"}),
        ({"shop": "ticket"}, "store", {"ticketing/ticket"}),
        ({"amenity": "post_office"}, "community_station", {"community/parcel", "community/bill_payment"}),
        ({"amenity": "parcel_locker"}, "pickup_point", {"community/parcel"}),
        (
            {"amenity": "vending_machine", "vending": "parcel_mail_in;parcel_pickup"},
            "pickup_point",
            {"community/parcel"},
        ),
        ({"amenity": "community_centre"}, "community_station", {"community/parcel", "community/bill_payment"}),
        ({"shop": "outpost"}, "pickup_point", {"retail/pickup", "community/parcel"}),
        ({"shop": "kiosk", "post_office": "post_partner"}, "store", {"retail/pickup", "community/parcel"}),
    ],
)
def test_judge__gives_kind_and_offers(table: TagTable, tags: dict[str, str], kind: str, offers: set[str]) -> None:
    taken = _taken(table, **tags)
    assert (taken.kind, set(taken.offers), taken.visibility) == (kind, offers, "public")


@pytest.mark.parametrize(
    ("tags", "offers"),
    [
        ({"amenity": "restaurant", "takeaway": "no"}, {"food_service/delivery"}),
        ({"amenity": "restaurant", "delivery": "no"}, {"food_service/pickup"}),
        ({"amenity": "restaurant", "takeaway": "only"}, {"food_service/pickup"}),
        ({"amenity": "restaurant", "delivery": "only"}, {"food_service/delivery"}),
        (
            {"amenity": "restaurant", "takeaway": "only", "delivery": "yes"},
            {"food_service/pickup", "food_service/delivery"},
        ),
        ({"shop": "supermarket", "delivery": "no"}, {"retail/pickup", "fresh_food/pickup"}),
        ({"amenity": "parcel_locker", "shop": "kiosk", "parcel_pickup": "no"}, {"retail/pickup"}),
    ],
)
def test_judge__lets_a_tag_take_away_what_is_usual(table: TagTable, tags: dict[str, str], offers: set[str]) -> None:
    assert _offers(table, **tags) == offers


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"shop": "vacant"}, "gone"),
        ({"shop": "clothes", "disused": "yes"}, "gone"),
        ({"shop": "clothes", "access": "private"}, "no_public_access"),
        ({"amenity": "restaurant", "takeaway": "no", "delivery": "no"}, "no_offer_left"),
        ({"tourism": "museum", "fee": "no"}, "no_offer_left"),
        ({"shop": "laundry", "self_service": "yes"}, "no_offer_left"),
        ({"amenity": "bench"}, "street_furniture"),
        ({"amenity": "post_box"}, "street_furniture"),
        ({"amenity": "vending_machine", "vending": "parking_tickets"}, "street_furniture"),
        ({"amenity": "parking"}, "traffic"),
        ({"amenity": "school"}, "public_service"),
        ({"amenity": "pub"}, "served_on_the_spot"),
        ({"shop": "hairdresser"}, "served_on_the_spot"),
        ({"shop": "mall"}, "served_on_the_spot"),
        ({"office": "company"}, "office"),
        ({"craft": "shoemaker"}, "other_craft"),
        ({"amenity": "never_heard_of"}, "no_sector"),
        ({"tourism": "attraction"}, "no_sector"),
    ],
)
def test_judge__leaves_with_a_reason(table: TagTable, tags: dict[str, str], reason: str) -> None:
    assert table.judge(tags) == Left(reason)
    assert reason in table.reasons()


def test_judge__takes_each_of_several_values(table: TagTable) -> None:
    assert _offers(table, shop="convenience;hairdresser") == {"retail/pickup", "fresh_food/pickup"}
    assert table.judge({"shop": "hairdresser;beauty"}) == Left("served_on_the_spot")
    assert _offers(table, shop=" Bakery ;CAFE") == {"retail/pickup", "fresh_food/pickup"}


def test_judge__hides_depots_and_warehouses(table: TagTable) -> None:
    for tags in ({"amenity": "post_depot", "access": "private"}, {"industrial": "warehouse"}, {"office": "courier"}):
        taken = _taken(table, **tags)
        assert (taken.visibility, taken.offers) == ("internal", ("community/sorting",))


def test_judge__tells_what_is_usual_from_what_the_map_says(table: TagTable) -> None:
    assert _taken(table, amenity="restaurant").usual == {"food_service/pickup", "food_service/delivery"}
    assert _taken(table, amenity="restaurant", takeaway="yes").usual == {"food_service/delivery"}
    assert _taken(table, shop="supermarket", delivery="yes").usual == set()


def test_judge__gives_features(table: TagTable) -> None:
    taken = _taken(table, shop="clothes", wheelchair="yes", elevator="yes", brand="A,  & B;C", drive_through="yes")
    assert taken.features == ("brand:A & B", "brand:C", "drive_through", "lift", "wheelchair")
    assert _taken(table, shop="clothes", wheelchair="limited").features == ()


def test_table__covers_every_offer_that_has_a_norm_and_no_other(table: TagTable) -> None:
    assert table.offers() == set(load_norms().offers())


RULE = '[[take]]\nkind = "store"\nwhen = { shop = "*" }\noffers = ["a/b"]\nwhy = "x"\n'
HEAD = 'account_for = ["shop"]\nlook_at = []\nleave = []\nchange = []\nfeature = []\nuntaken = []\n'


def test_load_tag_table__reads_another_text() -> None:
    assert load_tag_table(HEAD + RULE).judge({"shop": "x"}) == Taken("store", "public", ("a/b",), frozenset(), ())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("[[", "must be TOML", id="no TOML"),
        pytest.param(RULE, "must say account_for", id="parts missing"),
        pytest.param(HEAD + RULE.replace('why = "x"', ""), r"\[\[take\]\] 1: why must be given", id="no reason"),
        pytest.param(HEAD + RULE.replace("offers", "offer"), "offer is not known", id="misspelled"),
        pytest.param(HEAD + RULE.replace("store", "stall"), "kind must be one of", id="kind"),
        pytest.param(HEAD + RULE.replace("a/b", "a"), "offers must be", id="offer"),
        pytest.param(HEAD + RULE.replace('"*"', "[]"), "when.shop must be a value", id="no values"),
        pytest.param(HEAD + RULE.replace('shop = "*"', ""), "when must name a key", id="no condition"),
    ],
)
def test_load_tag_table__names_the_rule_that_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(BadFileError, match=reason):
        load_tag_table(text)
