from __future__ import annotations

import numpy as np
import pytest

from service.points.zones import country_of, zones_of

PLACES = [
    pytest.param(60.17, 24.94, "Europe/Helsinki", "FI", id="Helsinki"),
    pytest.param(39.99, 116.31, "Asia/Shanghai", "CN", id="Beijing"),
    pytest.param(22.30, 114.17, "Asia/Hong_Kong", "HK", id="Hong Kong"),
    pytest.param(25.03, 121.56, "Asia/Taipei", "TW", id="Taipei"),
    pytest.param(37.57, 126.98, "Asia/Seoul", "KR", id="Seoul"),
    pytest.param(43.73, 7.42, "Europe/Monaco", "MC", id="Monaco"),
    pytest.param(51.52, -0.09, "Europe/London", "GB", id="London"),
    pytest.param(21.03, 105.85, "Asia/Bangkok", "VN", id="Hanoi"),
    pytest.param(18.68, 105.68, "Asia/Bangkok", "VN", id="Vinh"),
    pytest.param(17.47, 106.60, "Asia/Bangkok", "VN", id="Dong Hoi"),
    pytest.param(21.39, 103.02, "Asia/Bangkok", "VN", id="Dien Bien Phu"),
    pytest.param(22.40, 102.22, "Asia/Bangkok", "VN", id="Muong Nhe"),
    pytest.param(19.40, 104.00, "Asia/Bangkok", "VN", id="Ky Son"),
    pytest.param(10.78, 106.70, "Asia/Ho_Chi_Minh", "VN", id="Saigon"),
    pytest.param(13.75, 100.50, "Asia/Bangkok", "TH", id="Bangkok"),
    pytest.param(17.41, 104.78, "Asia/Bangkok", "TH", id="Nakhon Phanom"),
    pytest.param(18.36, 103.65, "Asia/Bangkok", "TH", id="Bueng Kan"),
    pytest.param(16.54, 104.72, "Asia/Bangkok", "TH", id="Mukdahan"),
    pytest.param(19.58, 101.08, "Asia/Bangkok", "TH", id="Nan"),
    pytest.param(20.43, 99.88, "Asia/Bangkok", "TH", id="Mae Sai"),
    pytest.param(17.97, 102.61, "Asia/Vientiane", "LA", id="Vientiane"),
    pytest.param(-30.03, -51.22, "America/Sao_Paulo", "BR", id="Porto Alegre"),
]


@pytest.mark.parametrize(("lat", "lng", "zone", "country"), PLACES)
def test_zones_of__finds_zone_and_country(lat: float, lng: float, zone: str, country: str) -> None:
    assert zones_of(np.array([lat]), np.array([lng])) == [zone]
    assert country_of(zone, lat, lng) == country


def test_zones_of__tells_nothing_on_the_high_seas() -> None:
    assert zones_of(np.array([0.0, 0.0, 60.17]), np.array([-140.0, 180.0, 24.94])) == [None, None, "Europe/Helsinki"]


@pytest.mark.parametrize("zone", ["UTC", "Etc/GMT+9", "Asia/Nowhere"])
def test_country_of__tells_nothing_for_a_zone_of_no_country(zone: str) -> None:
    assert country_of(zone, 0.0, 0.0) is None
