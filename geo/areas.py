"""Placeholder until the area checks land."""


def check_areas(values, *, positions=None):
    return values
