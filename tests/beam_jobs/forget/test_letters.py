import json

from beam_jobs.forget.letters import forget_lines, is_value_of, letters_in
from beam_jobs.forget.names import Names

URL = "https://example.org/é"


def test_lines_of_images_go_and_the_others_keep_their_bytes(tmp_path):
    path = str(tmp_path / "a.jsonl")
    letters = [
        {"item": "csv/a.jpg", "detail": ""},
        {"item": "csv/a.jpg.png", "detail": "ü"},
        {"item": "labels.csv:3", "detail": "duplicate of csv/a.jpg"},
        {"item": f"tencent/{URL}"},
    ]
    lines = [json.dumps(letter) + "\n" for letter in letters]
    lines.append("[no object] csv/b.jpg\n")
    names = Names()
    names.add("csv/a.jpg", URL)

    def forget():
        return forget_lines(path, path, names, is_value_of(names, "item"))

    (tmp_path / "a.jsonl").write_text("".join(lines))
    assert forget() == 3
    assert (tmp_path / "a.jsonl").read_text() == lines[1] + lines[4]
    assert forget() == 0


def test_a_file_without_a_line_left_goes(tmp_path):
    path = str(tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").write_text('{"item": "csv/a.jpg"}\n')
    names = Names()
    names.add("csv/a.jpg")
    assert letters_in(str(tmp_path)) == [path]
    forget_lines(path, path, names, is_value_of(names, "item"))
    assert letters_in(str(tmp_path)) == letters_in("none") == []
