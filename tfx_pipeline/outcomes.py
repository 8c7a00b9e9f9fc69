"""How a run ends when it does not push: a status of its own for each way."""

from __future__ import annotations

from beam_jobs.errors import JobFailedError
from tfx_pipeline import names


class DataRefusedError(JobFailedError):
    """The data gate let the data not through; nothing was trained."""

    status = names.DATA_REFUSED_STATUS


class ModelRefusedError(JobFailedError):
    """The model gate or the serve check refused the model; none was pushed."""

    status = names.MODEL_REFUSED_STATUS


class ComponentFailedError(JobFailedError):
    """A component ended with an error of its own."""

    status = 1
