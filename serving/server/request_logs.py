"""The logs of a server: one of all models, and those of a `models.config`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from serving.api.models_config import ModelConfig, logs_of
from serving.api.request_log_options import RequestLogOptions
from serving.server.request_log import Entry, RequestLog


class RequestLogs:
    """Every log that is written to.

    Args:
        options: of the log of all models, and of how others are kept; without
            a file there are the others alone.

    Raises:
        InputError: the file cannot be written to.
    """

    def __init__(self, options: RequestLogOptions):
        self._options = options
        self._past: Counter[str] = Counter()
        self._common = (RequestLog(options),) if options.file else ()
        # By file, those among them that end once they are written. Requests
        # read what is by model without a lock: it is replaced as a whole.
        self._logs: dict[Path, RequestLog] = {}
        self._of_model: Mapping[str, RequestLog] = {}

    @property
    def counts(self) -> Counter[str]:
        """Requests of all samples by what became of them, see `RequestLog`."""
        logs = (*self._common, *list(self._logs.values()))
        # Copied at once: their threads count on.
        return sum((Counter(dict(log.counts)) for log in logs), self._past)

    def draw(self, model: str) -> Entry | None:
        """Returns an entry to fill in, if a log wants the next request."""
        own = self._of_model.get(model)
        logs = self._common if own is None else (*self._common, own)
        drawn = tuple(log for log in logs if log.takes())
        return Entry(logs=drawn) if drawn else None

    def apply(self, models: Sequence[ModelConfig]) -> None:
        """Writes the logs of these models from now on, and no others.

        What a log that ends has drawn is written yet.

        Raises:
            InputError: a file that cannot be written to, or of two models;
                nothing has changed then.
        """
        wanted = logs_of(models, self._options)
        self._forget_closed()
        fresh: dict[Path, RequestLog] = {}
        try:
            for file, options in wanted.values():
                if file not in self._logs:
                    fresh[file] = RequestLog(options)
        except Exception:
            for log in fresh.values():
                log.close()
            raise
        self._logs = {**self._logs, **fresh}
        self._of_model = {
            name: self._going_on(file, options)
            for name, (file, options) in wanted.items()
        }
        kept = {file for file, _ in wanted.values()}
        for file, log in self._logs.items():
            if file not in kept:
                log.retire()

    def _going_on(self, file: Path, options: RequestLogOptions) -> RequestLog:
        # Its thread may have closed it just now.
        if not self._logs[file].go_on(options):
            self._forget_closed()
            self._logs = {**self._logs, file: RequestLog(options)}
        return self._logs[file]

    def _forget_closed(self) -> None:
        closed = {f: log for f, log in self._logs.items() if log.is_closed}
        for log in closed.values():
            log.close()
            self._past += log.counts
        self._logs = {f: g for f, g in self._logs.items() if f not in closed}

    def close(self) -> None:
        """Writes what waits, and closes all files."""
        for log in (*self._common, *self._logs.values()):
            log.close()


@contextmanager
def opened(
    options: RequestLogOptions, models: Sequence[ModelConfig]
) -> Iterator[RequestLogs]:
    """Yields the logs, and closes them.

    Raises:
        InputError: a file that cannot be written to.
    """
    logs = RequestLogs(options)
    try:
        logs.apply(models)
        yield logs
    finally:
        logs.close()
