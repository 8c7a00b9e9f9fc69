"""Tests of model.transfer.class_names."""

from model.transfer.class_names import names_of_synsets

# A goldfish, a dog, and no synset at all.
WNIDS = ("n01443537", "n02084071", "n00000000")


def test_a_list_beside_goes_before_wordnet(tmp_path):
    (tmp_path / "words.txt").write_text(
        "n01443537\tGoldfisch,  Karausche\nno row\n"
    )
    folder = tmp_path / "images"
    folder.mkdir()
    names = names_of_synsets(WNIDS, folder)
    assert names["n01443537"] == "Goldfisch, Karausche"
    assert names["n02084071"].startswith("dog, domestic dog")
    # An id has no name in either.
    assert names["n00000000"] == "n00000000"
    # That within goes before that beside; spaces divide as tabs do.
    inside = folder / "LOC_synset_mapping.txt"
    inside.write_text("n01443537 goldfish\n")
    assert names_of_synsets(WNIDS[:1], folder) == {"n01443537": "goldfish"}
