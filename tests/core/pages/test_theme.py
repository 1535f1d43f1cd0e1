"""Colours that all pages share."""

import re

import pytest

from fireact_ray.core.pages.assembly import SHARED, asset

COLOURS = re.findall(r"--(\w+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", asset(SHARED, "theme.css"))
LIGHT, DARK = {name: light for name, light, _ in COLOURS}, {name: dark for name, _, dark in COLOURS}
PAPERS = ("paper", "raised", "hover", "chosen")


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ink", ["ink", "soft", "accent", "right", "wrong", "trained"])
def test_text_stands_out_from_every_ground_it_stands_on(colours, ink):
    """WCAG 2.2, 1.4.3 (AA): 4.5 to 1."""
    found = {paper: contrast(colours[ink], colours[paper]) for paper in PAPERS}
    assert {paper: ratio for paper, ratio in found.items() if ratio < 4.5} == {}
    assert contrast(colours["ink"], colours["mark"]) >= 4.5


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
