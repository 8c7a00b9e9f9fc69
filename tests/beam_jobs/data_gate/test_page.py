from beam_jobs.data_gate.check import ClassChange, Verdict
from beam_jobs.data_gate.page import write_page


def test_reasons_and_changes_are_shown_escaped(tmp_path):
    lost = ClassChange("own:x", "<b>dog</b>", 12, 0, -3.5)
    verdict = Verdict(100, 200, ("1 class is lost",), (lost,))
    path = tmp_path / "page.html"
    write_page(verdict, str(path))
    text = path.read_text()
    assert "refused" in text and "1 class is lost" in text
    assert "&lt;b&gt;dog" in text and "<b>dog" not in text
    assert "6.00%" in text and "-3.5" in text
    assert "--accept-data" in text


def test_what_no_acceptance_cures_is_not_offered_one(tmp_path):
    path = tmp_path / "page.html"
    write_page(Verdict(100, 200, ("half is rejected",)), str(path))
    assert "half is rejected" in path.read_text()
    assert "--accept-data" not in path.read_text()


def test_accepted_data_has_no_reasons(tmp_path):
    path = tmp_path / "page.html"
    write_page(Verdict(100, None, ()), str(path))
    assert "accepted" in path.read_text() and "Why" not in path.read_text()
