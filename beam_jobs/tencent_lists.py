"""Reader of the Tencent ML-Images lists: a picture and its classes a line.

`train_urls_from_openimages.txt` names URLs, `train_im_list*.txt` files; then
follow `class:confidence` tokens. Tabs stand in the files, spaces in the
instructions; both are read. Format:
https://github.com/Tencent/tencent-ml-images#download-images
"""

from __future__ import annotations

from beam_jobs.annotations import AnnotatedImage
from beam_jobs.class_tokens import ClassTokens, read_dictionary
from beam_jobs.parts import MalformedRows, Part, Read
from beam_jobs.picture_folders import PictureFolders, is_inside
from beam_jobs.records import Source
from beam_jobs.url_names import is_url

KIND = "tencent_list"
WHAT = "a file name or URL and class:confidence tokens"


def read_list(part: Part) -> Read:
    """Yields the rows of a list; malformed ones become Rejections.

    Options: `dictionary`, the published dictionary; `images`, the folders of
    the pictures; none for labels alone.
    """
    classes = ClassTokens(read_dictionary(part.option("dictionary")))
    folders = part.values("images")
    find = PictureFolders(folders).find if folders else None
    reject = MalformedRows(part)
    source = Source.TENCENT
    for index, line in enumerate(part.lines()):
        if not isinstance(line, str):
            yield reject(index, line.detail)
            continue
        name, tokens = split_row(line)
        if not name:
            continue
        try:
            wnids, confidences = classes.parse(tokens)
        except ValueError as error:
            yield reject(index, str(error))
            continue
        if not is_url(name) and not is_inside(name):
            yield reject(index, f"{name[:200]!r}: no relative path")
            continue
        ref = find(name) if find else None
        yield AnnotatedImage(f"tencent/{name}", source, wnids, confidences, ref)


def split_row(line: str) -> tuple[str, list[str]]:
    """Returns the name, "" in a blank line, and the other columns.

    Where a tab follows the name, the name may hold spaces.
    """
    name, tab, rest = line.partition("\t")
    if tab:
        return name.strip(), rest.split()
    columns = line.split()
    return (columns[0], columns[1:]) if columns else ("", [])
