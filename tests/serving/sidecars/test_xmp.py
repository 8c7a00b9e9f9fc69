"""Sidecars keep what others wrote, and are read by photo software."""

from __future__ import annotations

import pytest
from lxml import etree

from serving.sidecars.words import Word
from serving.sidecars.xmp import SidecarError, with_tags

DOG = Word("dog", ("animal", "dog"))
CAT = Word("cat", ("animal", "cat"))
SLASH = Word("a/b|c", ("n/m", "a/b|c"))
# As an editor writes one: lists as Seq, simple values as attributes, a
# packet around it, a comment, and a structure with a keyword of its own.
THEIRS = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <!-- kept -->
  <rdf:Description rdf:about="uuid:1"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:darktable="http://darktable.sf.net/"
   xmp:Rating="4" darktable:xmp_version="5">
   <dc:subject><rdf:Seq><rdf:li>holiday</rdf:li><rdf:li>dog</rdf:li></rdf:Seq>
   </dc:subject>
   <darktable:history><rdf:Seq><rdf:li darktable:num="0" darktable:blank=" "/>
   </rdf:Seq></darktable:history>
   <dc:title><rdf:Alt><rdf:li xml:lang="x-default"> </rdf:li></rdf:Alt>
   </dc:title>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def tagged(content, *tags, model="m1", vocabulary="v1") -> bytes:
    return with_tags(content, tags, model, vocabulary)


def lists(content: bytes) -> dict[str, list[str]]:
    """Returns the items of each list, by the property's local name."""
    found = {}
    for item in etree.fromstring(content).iter("{*}li"):
        name = etree.QName(item.getparent().getparent()).localname
        found.setdefault(name, []).append(item.text)
    return found


def test_a_new_sidecar():
    found = lists(tagged(None, DOG, SLASH))
    assert found["subject"] == ["dog", "a/b|c"]
    assert found["hierarchicalSubject"] == ["animal|dog", "n/m|a/b-c"]
    assert found["TagsList"] == ["animal/dog", "n-m/a-b|c"]


def test_what_is_there_stays():
    before = lists(THEIRS)
    content = tagged(THEIRS, DOG, CAT)
    found = lists(content)
    assert found["subject"] == ["holiday", "dog", "cat"]
    assert found["WrittenSubject"] == ["cat"]  # the dog is somebody's
    assert found["title"] == before["title"] == [" "]
    assert b'xmp:Rating="4"' in content and b"<!-- kept -->" in content
    assert b"<?xpacket end" in content and b"darktable:num" in content
    # What is new is said of the same thing.
    assert content.count(b'rdf:about="uuid:1"') == 2


def test_a_rerun_replaces_its_own_tags_alone():
    first = tagged(THEIRS, DOG, CAT)
    again = tagged(first, SLASH, model="m2")
    found = lists(again)
    assert found["subject"] == ["holiday", "dog", "a/b|c"]
    assert found["hierarchicalSubject"] == ["n/m|a/b-c"]
    assert b"m1" not in again and b"m2" in again
    nothing = lists(tagged(again))
    assert nothing["subject"] == ["holiday", "dog"]
    assert (
        "hierarchicalSubject" not in nothing and "WrittenSubject" not in nothing
    )


def test_the_same_tags_give_the_same_bytes():
    once = tagged(THEIRS, DOG, CAT)
    assert tagged(tagged(once, SLASH), DOG, CAT) == tagged(once, DOG, CAT)
    new = tagged(None, DOG)
    assert tagged(new, DOG) == new


def test_a_person_takes_a_word_over():
    # Somebody removes it, then adds it again with other software.
    mine = tagged(None, CAT)
    theirs = mine.replace(b"<rdf:li>cat</rdf:li>", b"", 1)
    assert lists(tagged(theirs, DOG))["subject"] == ["dog"]


def bomb(start: str) -> bytes:
    return (start + THEIRS.decode().partition("?>")[2]).encode()


@pytest.mark.parametrize(
    "content",
    [
        bomb('<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'),
        bomb('<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd">'),
        bomb('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'),
        bomb('<!DOCTYPE x [<!ENTITY % a "b">]>'),
        bomb("<!DOCTYPE x>").decode().encode("utf-16"),
    ],
)
def test_hostile_sidecars_are_refused(content):
    with pytest.raises(SidecarError, match="a document type or entities"):
        tagged(content, DOG)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is no XML"),
        (b"\xff\xd8\xff\xe0", "it is no XML"),
        (THEIRS[:-200], "it is no XML"),
        (b"<svg/>", "it is no XMP: 0 x rdf:RDF"),
        (THEIRS.replace(b"rdf:Seq><rdf:li>h", b"rdf:So><rdf:li>h"), "no XML"),
        (
            THEIRS.replace(b'xmp:Rating="4"', b'dc:subject="a"'),
            "subject is no list",
        ),
        (b"<a>" * 100_000 + b"</a>" * 100_000, "it is no"),
    ],
)
def test_what_is_no_xmp_is_left(content, said):
    with pytest.raises(SidecarError, match=said):
        tagged(content, DOG)


def test_photo_software_reads_it(tmp_path):
    pyexiv2 = pytest.importorskip("pyexiv2", reason="pyexiv2 is not installed")
    for name, content in (("new", None), ("theirs", THEIRS)):
        path = tmp_path / f"{name}.xmp"
        path.write_bytes(tagged(content, DOG, CAT))
        with pyexiv2.Image(str(path)) as image:
            found = image.read_xmp()
        assert {"dog", "cat"} <= {*found["Xmp.dc.subject"]}
        assert found["Xmp.lr.hierarchicalSubject"] == [
            "animal|dog",
            "animal|cat",
        ]
        assert found["Xmp.digiKam.TagsList"] == ["animal/dog", "animal/cat"]
        assert found["Xmp.tagforest.ModelVersion"] == "m1"
    assert found["Xmp.xmp.Rating"] == "4"


def test_after_other_software_has_written_it(tmp_path):
    pyexiv2 = pytest.importorskip("pyexiv2", reason="pyexiv2 is not installed")
    path = tmp_path / "a.xmp"
    path.write_bytes(tagged(THEIRS, CAT))
    with pyexiv2.Image(str(path)) as image:
        image.modify_xmp({"Xmp.xmp.Label": "red"})
    content = tagged(path.read_bytes(), DOG, model="m2")
    assert lists(content)["subject"] == ["holiday", "dog"]
    assert b"m1" not in content and b"red" in content
