import pytest

from beam_jobs.sources.text_rows import MalformedRows, cut_text


@pytest.mark.parametrize("part_bytes", [1, 2, 3, 7, 10, 100])
@pytest.mark.parametrize("end", ["", "\n"])
def test_every_line_is_in_exactly_one_part(tmp_path, part_bytes, end):
    path = tmp_path / "a.txt"
    text = "one\ntwo\n\nthree é\nfour" + end
    path.write_text(text, encoding="utf-8")
    size = path.stat().st_size
    parts = cut_text("kind", str(path), size, part_bytes=part_bytes)
    assert parts[0].start == 0
    assert parts[-1].end == size
    lines = [line for part in parts for line in part.lines()]
    assert lines == ["one", "two", "", "three é", "four"]


def test_every_part_knows_the_numbers_of_its_lines(tmp_path):
    path = tmp_path / "a.txt"
    lines = [str(n) * (1 + n % 5) for n in range(1, 60)]
    path.write_text("\n".join(lines) + "\n")
    found = []
    for part in cut_text("k", str(path), path.stat().st_size, part_bytes=11):
        reject = MalformedRows(part)
        for index, line in enumerate(part.lines()):
            found.append((reject(index, "bad").item, line))
    numbered = enumerate(lines, start=1)
    assert found == [(f"{path}:{n}", line) for n, line in numbered]
