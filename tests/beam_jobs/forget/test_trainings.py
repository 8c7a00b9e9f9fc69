import json

from beam_jobs.forget.trainings import find_trainings


def test_trainings_and_exports_by_what_they_record(tmp_path):
    def write(name, text):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)

    write("first/dataset.json", json.dumps({"fingerprint": "aa"}))
    write("other/dataset.json", json.dumps({"fingerprint": "aaa"}))
    write("broken/dataset.json", "[")
    write("deep/er/none/dataset.json", json.dumps({"fingerprint": None}))
    write("models/1/assets/model_card.md", "# x\n\n- fingerprint: aa\n")
    write("models/2/assets/model_card.md", "- fingerprint: bb\n")
    assert find_trainings(str(tmp_path), {"aa", "cc"}) == [
        str(tmp_path / "first"),
        str(tmp_path / "models" / "1"),
    ]
    assert find_trainings(str(tmp_path), set()) == []
