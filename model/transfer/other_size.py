"""A trained classifier that sees larger images than it learned of.

Training crops show things larger than an evaluation's crop at the same size
does; a network that has learned of them is better at the larger size, the
whole short side seen (https://arxiv.org/abs/1906.06423).
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from beam_jobs.classes.load_classes import HIERARCHY, VOCABULARY
from model import workdir as files
from model.config import Config
from model.full_disk import writing

_COPIED = (
    VOCABULARY,
    HIERARCHY,
    files.START,
    files.DATASET,
    files.DATASET_PATH,
    files.HISTORY,
    files.RESULT,
    files.WEIGHTS,
)


def at_size(run: Path, size: int) -> Path:
    """Writes a run of the same weights for another size, beside it.

    Args:
        run: whose training is over.
        size: side of the images, pixels; of the whole short side.

    Returns:
        Its folder, which evaluates, exports and serves like the other.
    """
    out = run.with_name(f"{run.name}-seen-at-{size}")
    text = (run / files.CONFIG).read_text(encoding="utf-8")
    config = Config.from_json(text)
    data = replace(config.data, image_size=size, crop_fraction=1.0)
    out.mkdir(exist_ok=True)
    with writing(out, "the run", (run / files.WEIGHTS).stat().st_size):
        for name in _COPIED:
            if (run / name).is_file():
                shutil.copy(run / name, out / name)
        # Last: where it lies, the rest does.
        made = replace(config, data=data).to_json()
        (out / files.CONFIG).write_text(made, encoding="utf-8")
    return out
