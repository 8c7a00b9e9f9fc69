"""A version in memory: its servable, and the queues before it."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np

from serving.api.server_options import BatchingOptions
from serving.saved_model.servable import Servable
from serving.server.batch_tasks import Arrays
from serving.server.batching import Batcher


class LoadedVersion:
    """A servable with its queues."""

    def __init__(self, servable: Servable, options: BatchingOptions):
        self.servable = servable
        self._options = options
        self._lock = threading.Lock()
        # By signature: only its own requests can share a call.
        self._batchers: dict[str, Batcher] = {}

    @property
    def version(self) -> int:
        """The number of the version's folder."""
        return self.servable.version

    def run(
        self,
        signature_name: str,
        inputs: Arrays,
        deadline: float = float("inf"),
        cancelled: threading.Event | None = None,
    ) -> dict[str, np.ndarray]:
        """Runs a request, together with others where their rows may be joined.

        Args and errors are those of `Batcher.submit`.
        """
        batcher = self._batcher(signature_name)
        return batcher.submit(inputs, deadline, cancelled)

    def close(self) -> None:
        """Answers what is queued, then refuses; gives the memory back."""
        for batcher in self._batchers.values():
            batcher.close()
        self.servable.close()

    def _batcher(self, signature_name: str) -> Batcher:
        with self._lock:
            if signature_name not in self._batchers:
                self._batchers[signature_name] = Batcher(
                    partial(self.servable.run, signature_name),
                    self._options,
                    joins=self._joins(signature_name),
                )
            return self._batchers[signature_name]

    def _joins(self, signature_name: str) -> bool:
        # `[None]` alone may be one list as well as a number for each image:
        # joined, clients would get shares of each other's lists.
        if signature_name in self.servable.row_wise:
            return True
        signature = self.servable.signatures[signature_name]
        return self._options.all_models and signature.has_rows
