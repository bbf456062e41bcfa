"""Classes of a legend."""

import pytest

from service.maps.classes import band_classes, count_classes


@pytest.mark.parametrize("highest", [0, 1, 2, 3, 7, 40, 999, 123_456])
def test_count_classes__have_a_label_for_every_count(highest: int) -> None:
    classes = count_classes(highest, "orders")
    assert classes.of(0) == 0
    assert classes.of(highest) == len(classes.legend) - 1
    assert len({shown.colour for shown in classes.legend}) == len(classes.legend)


def test_count_classes__say_their_range() -> None:
    classes = count_classes(40, "orders")
    assert classes.legend[0].label == "no orders"
    for count in range(1, 41):
        label = classes.legend[classes.of(count)].label
        low, _, rest = label.partition(" ")
        high = rest.removeprefix("to ").split()[0]
        assert int(low) <= count
        assert rest.endswith("or more") or not high.isdigit() or count <= int(high)


def test_band_classes__include_their_limit() -> None:
    classes = band_classes((300, 500, 1000))
    assert [classes.of(metres) for metres in (0, 300, 300.1, 500, 1000, 1000.1, float("inf"))] == [0, 0, 1, 1, 2, 3, 3]
    assert [shown.label for shown in classes.legend] == [
        "up to 300 m",
        "over 300 up to 500 m",
        "over 500 up to 1000 m",
        "over 1000 m",
    ]
