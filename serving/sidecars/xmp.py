"""What a sidecar says: tags go in, everything else stays.

The tags that this tool wrote are kept in a namespace of its own too, so that
the next run takes away those and no others: a word that was there before is
somebody's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring
from lxml import etree

from serving.sidecars.words import Word

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DC = "http://purl.org/dc/elements/1.1/"
_LIGHTROOM = "http://ns.adobe.com/lightroom/1.0/"
_DIGIKAM = "http://www.digikam.org/ns/1.0/"
OWN = "https://tagforest.invalid/xmp/1.0/"
_PREFIXES = {
    "rdf": _RDF,
    "dc": _DC,
    "lr": _LIGHTROOM,
    "digiKam": _DIGIKAM,
    "tagforest": OWN,
}
_ABOUT, _DESCRIPTION = f"{{{_RDF}}}about", f"{{{_RDF}}}Description"
_ARRAYS = tuple(f"{{{_RDF}}}{kind}" for kind in ("Bag", "Seq", "Alt"))
_ITEM = f"{{{_RDF}}}li"
# Property, the array that its makers write, what this tool remembers of it.
_LISTS = {
    f"{{{_DC}}}subject": ("Bag", f"{{{OWN}}}WrittenSubject"),
    f"{{{_LIGHTROOM}}}hierarchicalSubject": (
        "Bag",
        f"{{{OWN}}}WrittenHierarchicalSubject",
    ),
    f"{{{_DIGIKAM}}}TagsList": ("Seq", f"{{{OWN}}}WrittenTagsList"),
}
_VERSIONS = (f"{{{OWN}}}ModelVersion", f"{{{OWN}}}VocabularyVersion")
_EMPTY = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">\n <rdf:RDF xmlns:rdf="'
    + _RDF.encode()
    + b'">\n  </rdf:RDF>\n</x:xmpmeta>'
)


class SidecarError(ValueError):
    """A sidecar that is left as it is; says why."""


def with_tags(
    content: bytes | None,
    tags: Sequence[Word],
    model_version: str,
    vocabulary_version: str,
) -> bytes:
    """Returns a sidecar with these tags instead of those of an earlier run.

    Args:
        content: of the sidecar that is there, if there is one.

    Raises:
        SidecarError: it is no XMP, or may do harm: it defines entities or
            has a document type.
    """
    tree = _parsed(_EMPTY if content is None else content)
    rdf = _rdf(tree)
    lists = (
        [tag.name for tag in tags],
        # What separates the steps can be in no name.
        ["|".join(s.replace("|", "-") for s in tag.path) for tag in tags],
        ["/".join(s.replace("/", "-") for s in tag.path) for tag in tags],
    )
    for (name, (kind, own)), items in zip(_LISTS.items(), lists, strict=True):
        _remove(rdf, name, _remove(rdf, own, None))
        there = set(_items(rdf, name))
        added = [i for i in dict.fromkeys(items) if i not in there]
        _add(rdf, name, kind, added)
        _add(rdf, own, "Bag", added)
    versions = (model_version, vocabulary_version)
    for name, text in zip(_VERSIONS, versions, strict=True):
        for old in _properties(rdf, name):
            _drop(old)
        for described in rdf.iterchildren(_DESCRIPTION):
            # As other software writes what is no list.
            described.attrib.pop(name, None)
        etree.SubElement(_description(rdf), name).text = text
    # The same tags, the same bytes: what was taken out leaves no gaps.
    own = _description(rdf)
    etree.indent(own, " ", level=2)
    own.tail = "\n "
    return etree.tostring(tree, xml_declaration=True, encoding="UTF-8") + b"\n"


def _parsed(content: bytes) -> Any:
    try:
        # It stops where a document type or an entity is defined.
        fromstring(content, forbid_dtd=True)
        parser = etree.XMLParser(resolve_entities=False, no_network=True)
        return etree.ElementTree(etree.fromstring(content, parser))
    except DefusedXmlException as error:
        raise SidecarError(
            "it has a document type or entities, as XMP has none"
        ) from error
    except (ParseError, etree.XMLSyntaxError, ValueError) as error:
        raise SidecarError(f"it is no XML: {error}") from error


def _rdf(tree: Any) -> Any:
    found = list(tree.getroot().iter(f"{{{_RDF}}}RDF"))
    if len(found) != 1:
        raise SidecarError(f"it is no XMP: {len(found)} x rdf:RDF, not one")
    for name in (*_LISTS, *(own for _, own in _LISTS.values())):
        for one in _properties(found[0], name):
            if len(one) != 1 or one[0].tag not in _ARRAYS:
                raise SidecarError(f"its {name} is no list")
        if any(name in described.attrib for described in found[0]):
            raise SidecarError(f"its {name} is no list")
    return found[0]


def _properties(rdf: Any, name: str) -> list[Any]:
    described = rdf.iterchildren(_DESCRIPTION)
    return [one for d in described for one in d.iterchildren(name)]


def _items(rdf: Any, name: str) -> list[str]:
    return [
        item.text or ""
        for one in _properties(rdf, name)
        for item in one[0].iterchildren(_ITEM)
    ]


def _remove(rdf: Any, name: str, items: Iterable[str] | None) -> list[str]:
    """Removes some items of a list, None for all; returns them.

    What is empty then goes too.
    """
    wanted = None if items is None else set(items)
    removed = []
    for one in _properties(rdf, name):
        for item in list(one[0].iterchildren(_ITEM)):
            if wanted is None or item.text in wanted:
                removed.append(item.text or "")
                one[0].remove(item)
        if removed and not len(one[0]):
            _drop(one)
    return removed


def _drop(element: Any) -> None:
    above = element.getparent()
    above.remove(element)
    if not len(above) and set(above.attrib) <= {_ABOUT}:
        above.getparent().remove(above)


def _add(rdf: Any, name: str, kind: str, items: Sequence[str]) -> None:
    if not items:
        return
    one = next(iter(_properties(rdf, name)), None)
    if one is None:
        one = etree.SubElement(_description(rdf), name)
        etree.SubElement(one, f"{{{_RDF}}}{kind}")
    for item in items:
        etree.SubElement(one[0], _ITEM).text = item


def _description(rdf: Any) -> Any:
    """Returns where new properties go: one that has the prefixes."""
    described = list(rdf.iterchildren(_DESCRIPTION))
    own = next((d for d in described if OWN in d.nsmap.values()), None)
    if own is not None:
        return own
    # All that a packet describes is one thing, of one name.
    about = described[0].get(_ABOUT, "") if described else ""
    return etree.SubElement(rdf, _DESCRIPTION, {_ABOUT: about}, _PREFIXES)
