"""What Graphviz drew, made fit for a page: named and described for those who cannot see it, without what differs from one Graphviz to the
next, and with ids of its own."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from gradflow.errors import InvariantError
from gradflow.render.markup import clean
from gradflow.render.palette import Palette
from gradflow.views.drawing import Card, Drawing, Excerpt, Grid, Join, Pill, Shape

SVG = "http://www.w3.org/2000/svg"
_NAMESPACE = f"{{{SVG}}}"
_FONTS = {"Helvetica": "Helvetica, Arial, sans-serif", "Courier": "'Courier New', Courier, monospace"}
_LOOK = ("fill", "stroke", "stroke-width", "stroke-dasharray", "font-family", "font-weight", "font-size", "text-anchor")
_NUMBER = re.compile(r"-?\d+\.\d{2,}")


class Styles:
    """The looks that pictures on one page share: each combination of colour, font and line is one short class.

    Colours of `palette` become CSS variables (`var(--ink)`), so that the page's theme is the picture's.
    """

    def __init__(self, palette: Palette) -> None:
        self._variables = variable_names(palette)
        self._classes: dict[tuple[tuple[str, str], ...], str] = {}

    def css(self) -> str:
        """One rule a class, in the order in which they were first seen."""
        return "".join(f".{name}{{{';'.join(f'{key}:{value}' for key, value in look)}}}" for look, name in self._classes.items())

    def class_of(self, look: dict[str, str]) -> str:
        """The class for these presentation attributes."""
        values = tuple((key, self._value(key, value)) for key, value in sorted(look.items()))
        return self._classes.setdefault(values, f"s{len(self._classes)}")

    def _value(self, key: str, value: str) -> str:
        if key == "font-size":
            return f"{float(value):g}px"
        return f"var(--{self._variables[value.lower()]})" if value.lower() in self._variables else value


def finish_svg(drawn: str, drawing: Drawing, *, prefix: str = "", styles: Styles | None = None) -> str:
    """The SVG text that Graphviz made of `drawing`, as one element without an XML declaration, ended by a line feed.

    Args:
        prefix: stands before every id, so that two pictures can share a page.
        styles: takes over colours, fonts and lines as classes; without it they stand in the elements.
    """
    ElementTree.register_namespace("", SVG)
    try:
        root = ElementTree.fromstring(drawn)
    except ElementTree.ParseError as error:
        raise InvariantError(f"Graphviz wrote an SVG that does not parse: {error}") from error
    _describe(root, drawing, prefix)
    for parent in root.iter():
        _drop_invisible(parent)
        _name_box(parent, drawing)
        _tidy(parent, prefix)
        if styles is not None:
            _take_look(parent, styles)
    return ElementTree.tostring(root, encoding="unicode").replace(" />", "/>") + "\n"


def variable_names(palette: Palette) -> dict[str, str]:
    """By colour (lower case), the name of its CSS variable: `#00694d` is `text-live`."""
    names: dict[str, str] = {}
    for field in palette.__dataclass_fields__:
        value = getattr(palette, field)
        entries = (
            {f"{field}-{getattr(key, 'value', key)}": color for key, color in value.items()} if isinstance(value, dict) else {field: value}
        )
        names.update({color.lower(): name.replace("_", "-") for name, color in entries.items()})
    return names


def words_of(shape: Shape) -> str:
    """What a box says, for a screen reader and as its tooltip."""
    match shape:
        case Card():
            counts = ", ".join(f"{count} {verdict.value}" for verdict, count in shape.counts)
            return ". ".join(word for word in (f"{shape.title} {shape.kind}".strip(), counts, shape.note) if word)
        case Excerpt():
            return f"{shape.headline}. {shape.place}"
        case Pill():
            return f"{shape.label} {shape.detail}".strip()
        case Join():
            return f"{shape.sign}"
        case Grid():
            return "gradient norms by module and step"


def _describe(root: ElementTree.Element, drawing: Drawing, prefix: str) -> None:
    root.attrib.pop("width", None)
    root.attrib.pop("height", None)
    box = root.get("viewBox", "0 0 100 100").split()
    root.set("width", f"{float(box[2]):.0f}pt")
    root.set("height", f"{float(box[3]):.0f}pt")
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}title {prefix}desc")
    title, description = ElementTree.Element(f"{_NAMESPACE}title"), ElementTree.Element(f"{_NAMESPACE}desc")
    title.set("id", "title")
    description.set("id", "desc")
    title.text, description.text = clean(drawing.title), clean(f"{drawing.subtitle}. {drawing.description}")
    root.insert(0, description)
    root.insert(0, title)


def _drop_invisible(parent: ElementTree.Element) -> None:
    """Drops the titles of arrows and frames, which are our numbers, and shapes without colour."""
    for child in list(parent):
        nameless = child.tag == f"{_NAMESPACE}title" and parent.get("class") in ("edge", "cluster", "graph")
        empty = child.get("fill") in ("none", None) and child.get("stroke") in ("transparent", "none") and child.tag != f"{_NAMESPACE}g"
        if nameless or empty:
            parent.remove(child)


def _name_box(group: ElementTree.Element, drawing: Drawing) -> None:
    name = group.get("id", "")
    title = group.find(f"{_NAMESPACE}title")
    if group.get("class") == "node" and name.startswith("box") and title is not None:
        title.text = clean(words_of(drawing.boxes[int(name[3:])].shape))


def _take_look(element: ElementTree.Element, styles: Styles) -> None:
    look = {key: element.attrib.pop(key) for key in _LOOK if key in element.attrib}
    if look.get("stroke") == "transparent":
        look["stroke"] = "none"
    if element.tag == f"{_NAMESPACE}text" and look.get("text-anchor") == "start":
        del look["text-anchor"]
    if look:
        element.set("class", styles.class_of(look))
    if element.tag == f"{_NAMESPACE}g" and element.get("class") in ("edge", "cluster", "graph"):
        del element.attrib["class"]


def _tidy(element: ElementTree.Element, prefix: str) -> None:
    element.tail = None
    if element.tag not in (f"{_NAMESPACE}text", f"{_NAMESPACE}title", f"{_NAMESPACE}desc"):
        element.text = None
    for key, value in list(element.attrib.items()):
        if key == "id":
            _rename(element, value, prefix)
        elif key == "font-family":
            element.set(key, _FONTS.get(value.split(",")[0], value))
        elif key in ("points", "d", "x", "y", "cx", "cy", "rx", "ry", "width", "height"):
            element.set(key, _NUMBER.sub(lambda found: f"{float(found.group()):.1f}".removesuffix(".0"), value))
        elif key.endswith("space") or key == "xlink":
            del element.attrib[key]


def _rename(element: ElementTree.Element, value: str, prefix: str) -> None:
    """Keeps the ids of boxes and of the description; those that Graphviz gives to arrows and frames serve nobody."""
    if value.startswith("box") or value in ("title", "desc"):
        element.set("id", prefix + value)
    else:
        del element.attrib["id"]
