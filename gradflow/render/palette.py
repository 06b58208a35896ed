"""Colours, glyphs and line styles of pictures, light and dark. Each colour of a palette is used for one thing only, so that a page can put
a variable in its place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gradflow.verdict import Verdict


class Theme(str, Enum):
    """What the picture stands on."""

    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Palette:
    """`mark` fills and draws, `text` writes (contrast 4.5 to 1 on `card` and on `tint`), `tint` lies under a row; each by verdict.
    `scale` has eight colours for gradient norms, the least first."""

    page: str
    card: str
    frame: str
    frame_line: str
    ink: str
    muted: str
    line: str
    on_mark: str
    strong: str
    on_strong: str
    lit: str
    code: str
    region: str
    mark: dict[Verdict, str]
    text: dict[Verdict, str]
    tint: dict[Verdict, str]
    scale: dict[int, str]


LIGHT = Palette(
    page="#FFFFFF",
    card="#FFFFFE",
    frame="#F6F8FA",
    frame_line="#D0D7DE",
    ink="#1B1F24",
    muted="#57606A",
    line="#8C959F",
    on_mark="#FEFFFF",
    strong="#1B1F25",
    on_strong="#FFFEFF",
    lit="#FFE3CF",
    code="#F6F8FB",
    region="#FFF6F0",
    mark={
        Verdict.LIVE: "#007A5A",
        Verdict.ZERO: "#9A6700",
        Verdict.NONFINITE: "#A0307E",
        Verdict.UNDEFINED: "#A8202E",
        Verdict.SEVERED: "#D55E00",
        Verdict.ESCAPED: "#A85C00",
        Verdict.UNUSED: "#8C8C8C",
        Verdict.FROZEN: "#0072B2",
        Verdict.UNKNOWN: "#6A737C",
    },
    text={
        Verdict.LIVE: "#00694D",
        Verdict.ZERO: "#855900",
        Verdict.NONFINITE: "#902A72",
        Verdict.UNDEFINED: "#9C1C2A",
        Verdict.SEVERED: "#AD4B00",
        Verdict.ESCAPED: "#8F4E00",
        Verdict.UNUSED: "#646464",
        Verdict.FROZEN: "#00639B",
        Verdict.UNKNOWN: "#59626B",
    },
    tint={
        Verdict.LIVE: "#E3F4EE",
        Verdict.ZERO: "#FBF3DC",
        Verdict.NONFINITE: "#F9E8F4",
        Verdict.UNDEFINED: "#FBE7E9",
        Verdict.SEVERED: "#FCEBE0",
        Verdict.ESCAPED: "#FBEEDD",
        Verdict.UNUSED: "#F2F2F2",
        Verdict.FROZEN: "#E4F1FA",
        Verdict.UNKNOWN: "#EEF0F2",
    },
    scale=dict(enumerate(("#E8F1FA", "#C7DEEF", "#9CC9E3", "#68ACD4", "#3A8DC3", "#1070AF", "#005A92", "#003A63"))),
)

DARK = Palette(
    page="#0D1117",
    card="#161B22",
    frame="#12171E",
    frame_line="#30363D",
    ink="#E6EDF3",
    muted="#9AA4AF",
    line="#6E7781",
    on_mark="#0D1118",
    strong="#E6EDF4",
    on_strong="#0D1119",
    lit="#5C2E0C",
    code="#1B2129",
    region="#21150D",
    mark={
        Verdict.LIVE: "#2FC295",
        Verdict.ZERO: "#E3B341",
        Verdict.NONFINITE: "#F08BC8",
        Verdict.UNDEFINED: "#FF7B86",
        Verdict.SEVERED: "#FF8A3D",
        Verdict.ESCAPED: "#E0A15A",
        Verdict.UNUSED: "#8B949E",
        Verdict.FROZEN: "#56B4E9",
        Verdict.UNKNOWN: "#A3ADB8",
    },
    text={
        Verdict.LIVE: "#35CB9D",
        Verdict.ZERO: "#E8BB50",
        Verdict.NONFINITE: "#F398CF",
        Verdict.UNDEFINED: "#FF8C96",
        Verdict.SEVERED: "#FF9650",
        Verdict.ESCAPED: "#E5AB6A",
        Verdict.UNUSED: "#9BA4AE",
        Verdict.FROZEN: "#66BCED",
        Verdict.UNKNOWN: "#ADB7C1",
    },
    tint={
        Verdict.LIVE: "#10302A",
        Verdict.ZERO: "#33290F",
        Verdict.NONFINITE: "#381D30",
        Verdict.UNDEFINED: "#3B191D",
        Verdict.SEVERED: "#3A1D0D",
        Verdict.ESCAPED: "#352613",
        Verdict.UNUSED: "#22272E",
        Verdict.FROZEN: "#10293A",
        Verdict.UNKNOWN: "#23292F",
    },
    scale=dict(enumerate(("#16222E", "#1B3348", "#204868", "#2A628C", "#397FB1", "#569FD3", "#82BEEA", "#B9DEFA"))),
)

PALETTES = {Theme.LIGHT: LIGHT, Theme.DARK: DARK}

LINE_STYLE = {
    Verdict.LIVE: "solid",
    Verdict.ZERO: "dotted",
    Verdict.NONFINITE: "solid",
    Verdict.UNDEFINED: "dashed",
    Verdict.SEVERED: "dashed",
    Verdict.ESCAPED: "dashed",
    Verdict.UNUSED: "dotted",
    Verdict.FROZEN: "solid",
    Verdict.UNKNOWN: "dotted",
}
"""The border of a card."""

MEANING = {
    Verdict.LIVE: "gradient reaches it",
    Verdict.ZERO: "reached, gradient is zero",
    Verdict.NONFINITE: "gradient has NaN or Inf",
    Verdict.UNDEFINED: "reached, none delivered",
    Verdict.SEVERED: "used, but cut off from the loss",
    Verdict.ESCAPED: "its value left torch",
    Verdict.UNUSED: "not used on the way to the loss",
    Verdict.FROZEN: "requires_grad=False",
    Verdict.UNKNOWN: "this run cannot tell",
}
