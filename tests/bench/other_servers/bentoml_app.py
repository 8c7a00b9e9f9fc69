"""BentoML with its batching: bentoml serve bentoml_app:Tags --port PORT."""

from __future__ import annotations

from pathlib import Path

import bentoml
from model_call import ModelCall


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 256})
class Tags:
    """Answers image files with their tags."""

    def __init__(self) -> None:
        self.model = ModelCall()

    @bentoml.api(batchable=True, max_batch_size=32, max_latency_ms=10_000)
    def predict(self, images: list[Path]) -> list[dict]:
        """Returns one entry an image."""
        return self.model.tags([path.read_bytes() for path in images])
