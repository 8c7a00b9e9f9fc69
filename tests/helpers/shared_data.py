"""Published data, which lies beside the checkout and not in it."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "shared" / "data"
TENCENT = FOLDER / "tencent_ml_images"
TENCENT_DICTIONARY = TENCENT / "dictionary_and_semantic_hierarchy.txt"

needs_tencent = pytest.mark.skipif(
    not TENCENT.is_dir(), reason=f"{TENCENT} is not here"
)
