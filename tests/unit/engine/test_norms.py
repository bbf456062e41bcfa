import dataclasses
import datetime as dt
import importlib.resources
from pathlib import Path

import pytest

from engine.errors import InvalidNormError, InvalidOfferError
from engine.norms import Norms, load_norms

SECTORS = {
    "retail": "零售",
    "food_service": "餐饮",
    "housekeeping": "家政",
    "laundry": "洗衣",
    "appliance_repair": "家电维修",
    "ticketing": "票务",
    "fresh_food": "生鲜配送",
    "community": "社区服务",
}
MODES = {"pickup", "ticket", "onsite", "delivery", "parcel", "sorting", "bill_payment"}
ORIGIN = 'jurisdiction = "CN", status = "practice", source = "", valid_from = 2026-01-01'
RECYCLING = f"""
labels = {{ en = "recycling", zh = "再生资源回收", ko = "재활용" }}

[modes.onsite]
radius = {{ value = 4, unit = "km", {ORIGIN} }}
lead = {{ value = 90, unit = "min", {ORIGIN} }}
proof = {{ value = ["scale_slip", "photo"], unit = "proof", {ORIGIN} }}
"""


@pytest.fixture(scope="module")
def norms() -> Norms:
    return load_norms()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shipped = importlib.resources.files("engine") / "norm_data"
    for file in shipped.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_norms__cover_all_sectors_and_modes(norms: Norms) -> None:
    assert {name: sector.labels.zh for name, sector in norms.sectors.items()} == SECTORS
    assert set(norms.modes) == MODES == {norms.offer(offer).mode for offer in norms.offers()}
    assert norms.offers() == sorted(norms.offers(), key=lambda offer: offer.split("/")[0])
    assert {f"{name}/{mode}" for name, sector in norms.sectors.items() for mode in sector.modes} == set(norms.offers())


def test_norms__call_law_only_what_names_its_source(norms: Norms) -> None:
    values = [value for norm in norms.by_offer.values() for value in norm.values.values()]
    assert {value.status for value in values} == {"law", "national_standard", "industry_standard", "practice"}
    assert all(value.source for value in values if value.status != "practice")
    assert all(value.valid_from <= dt.date(2026, 1, 1) for value in values)


def test_norms__turn_units_into_metres_and_seconds(norms: Norms) -> None:
    norm = norms.offer("retail/pickup")
    assert (norm.radius_m, norm.lead_s, norm.hold_s, norm.cancel_free_s) == (3000.0, 3600, 72 * 3600, 0)
    assert (norm.offer, norm.sector, norm.mode, norm.proof) == ("retail/pickup", "retail", "pickup", ("pickup_code",))
    assert norms.offer("laundry/pickup").lead_s == 3 * 86_400
    assert norms.offer("housekeeping/onsite").hold_s is None
    assert norms.offer("appliance_repair/onsite").values["unit_warranty"].size == 12
    assert norms.offer("fresh_food/delivery").values["frozen_max"].size == -18
    assert norms.offer("community/parcel").values["consent_required"].value is True
    with pytest.raises(TypeError, match="proof is no number"):
        _ = norm.values["proof"].size


def test_norms__cannot_be_changed(norms: Norms) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        norms.offer("retail/pickup").values["radius"].value = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        norms.by_offer["retail/pickup"] = norms.offer("retail/pickup")  # type: ignore[index]


def test_norms__of_an_unknown_offer_are_refused(norms: Norms) -> None:
    with pytest.raises(InvalidOfferError, match=r"offer must be one of .*retail/pickup.*, got 'recycling/onsite'"):
        norms.offer("recycling/onsite")


def test_circle__has_the_thirteen_basic_businesses_in_its_bands(norms: Norms) -> None:
    circle = norms.circle
    assert circle.bands_m == {5: 300, 8: 500, 15: 1000}
    assert sum(business.required for business in circle.businesses.values()) == 13
    assert circle.businesses["convenience_store"].minutes == 5
    assert {business.minutes for business in circle.businesses.values()} == set(circle.bands_m)


def test_load_norms__learns_a_new_sector_from_one_file(folder: Path) -> None:
    (folder / "recycling.toml").write_text(RECYCLING, encoding="utf-8")
    norms = load_norms(folder)
    norm = norms.offer("recycling/onsite")
    assert (norm.radius_m, norm.lead_s, norm.proof) == (4000.0, 5400, ("scale_slip", "photo"))
    assert norms.sectors["recycling"].labels.ko == "재활용"
    assert len(norms.sectors) == len(SECTORS) + 1


def test_load_norms__has_no_limit_of_sectors(folder: Path) -> None:
    for number in range(300):
        (folder / f"sector_{number}.toml").write_text(RECYCLING, encoding="utf-8")
    norms = load_norms(folder)
    assert len(norms.sectors) == len(SECTORS) + 300
    assert norms.offer("sector_299/onsite").lead_s == 5400


@pytest.mark.parametrize(
    ("old", "new", "key", "expected"),
    [
        ("value = 4,", "value = 0,", "modes.onsite.radius.value", "must be a number from 1 to 1000000, got 0"),
        ("value = 4,", "value = nan,", "modes.onsite.radius.value", "must be a number from 1"),
        ("value = 4,", "value = true,", "modes.onsite.radius.value", "must be a number from 1"),
        ("value = 4,", 'value = "4",', "modes.onsite.radius.value", "must be a number from 1"),
        ("value = 90,", "value = -1,", "modes.onsite.lead.value", "must be a number from 0"),
        ('unit = "km"', 'unit = "mile"', "modes.onsite.radius.unit", "must be m or km, got 'mile'"),
        ('unit = "km"', 'unit = ["m"]', "modes.onsite.radius.unit", "must be m or km, got ['m']"),
        ('unit = "km"', "unit = {m = 1}", "modes.onsite.radius.unit", "must be m or km, got {'m': 1}"),
        ('unit = "min"', 'unit = "month"', "modes.onsite.lead.unit", "must be s or min or h or day"),
        ('["scale_slip", "photo"]', "[]", "modes.onsite.proof.value", "must be a list of proofs"),
        ('["scale_slip", "photo"]', '["A photo"]', "modes.onsite.proof.value", "must be named in lower-case"),
        ('"CN"', '"China"', "modes.onsite.radius.jurisdiction", "must be an ISO 3166 code"),
        ('"practice"', '"custom"', "modes.onsite.radius.status", "must be one of law, national_standard"),
        ('"practice"', '"law"', "modes.onsite.radius.source", "must name a source"),
        ("2026-01-01", '"2026-01-01"', "modes.onsite.radius.valid_from", "must be a date"),
        ("2026-01-01", "2026-01-01T00:00:00", "modes.onsite.radius.valid_from", "must be a date"),
        ("2026-01-01", "2026-01-01, note = 1", "modes.onsite.radius", "must say value, unit"),
        ("radius =", "radus =", "modes.onsite.radius", "must be given, got None"),
        ("lead =", "led = 1\nlead =", "modes.onsite.led", "must be one of radius, lead"),
        ("[modes.onsite]", "[modes.teleport]", "modes.teleport", "must be one of the modes pickup"),
        ("[modes.onsite]", "[[modes.onsite]]", "modes.onsite", "must be a table"),
        ('zh = "再生资源回收", ', "", "labels", "must have the languages en, zh, ko, got ['en', 'ko']"),
        ('zh = "再生资源回收"', 'zh = " "', "labels.zh", "must be a text"),
        ("labels = {", "modes_ = 1\nlabels = {", "", "must say labels, modes"),
        ("[modes.onsite]", "[modes.onsite", "", "must be TOML in UTF-8"),
    ],
)
def test_load_norms__names_file_and_key_of_what_is_wrong(
    folder: Path, old: str, new: str, key: str, expected: str
) -> None:
    assert old in RECYCLING
    (folder / "recycling.toml").write_text(RECYCLING.replace(old, new), encoding="utf-8")
    with pytest.raises(InvalidNormError) as caught:
        load_norms(folder)
    assert caught.value.argument == (f"recycling.toml: {key}" if key else "recycling.toml")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("5 = 300", "five = 300", "bands.five"),
        ("5 = 300", "5 = true", "bands.5"),
        ("minutes = 5", "minutes = 7", "businesses.convenience_store.minutes"),
        ("required = true", "required = 1", "businesses.convenience_store.required"),
        ("valid_from = 2021-09-04", "valid_from = 2021", "valid_from"),
        ('source = "一刻钟', 'source = ""\nx = "一刻钟', ""),
        ("[bands]", "[bands]\n10 = -1", "bands.10"),
    ],
)
def test_load_norms__names_the_key_of_a_wrong_circle(folder: Path, old: str, new: str, key: str) -> None:
    file = folder / "circle.toml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InvalidNormError) as caught:
        load_norms(folder)
    assert caught.value.argument == (f"circle.toml: {key}" if key else "circle.toml")


def test_load_norms__wants_a_source_of_the_circle(folder: Path) -> None:
    file = folder / "circle.toml"
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("source")]
    file.write_text("\n".join(['source = ""', *lines]), encoding="utf-8")
    with pytest.raises(InvalidNormError, match=r"circle\.toml: source must name a source"):
        load_norms(folder)


@pytest.mark.parametrize(
    ("old", "new"), [("Recycling.toml", "named in lower-case"), ("re-use.toml", "named in lower-case")]
)
def test_load_norms__refuses_a_sector_with_another_name(folder: Path, old: str, new: str) -> None:
    (folder / old).write_text(RECYCLING, encoding="utf-8")
    with pytest.raises(InvalidNormError, match=new):
        load_norms(folder)


def test_load_norms__refuses_modes_that_say_more_than_labels(folder: Path) -> None:
    with (folder / "modes.toml").open("a", encoding="utf-8") as file:
        file.write('\n[repair]\nlabels = { en = "a", zh = "b", ko = "c" }\nfast = true\n')
    with pytest.raises(InvalidNormError, match=r"modes.toml: repair must say labels, got \['fast', 'labels'\]"):
        load_norms(folder)


@pytest.mark.parametrize("name", ["modes.toml", "circle.toml"])
def test_load_norms__misses_a_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InvalidNormError, match=f"{name} must be one of the norm files"):
        load_norms(folder)


def test_load_norms__refuses_a_file_that_is_no_text(folder: Path) -> None:
    (folder / "recycling.toml").write_bytes(b"labels = '\xff'")
    with pytest.raises(InvalidNormError, match=r"recycling\.toml must be TOML in UTF-8"):
        load_norms(folder)
