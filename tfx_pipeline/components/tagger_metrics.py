"""What the Evaluator measures: the figures of `tagforest evaluate`, by TFMA.

TFMA runs the models and gathers their scores; the figures are those of
`model.evaluation`, over the same scores, so that both say the same.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types, metric_util

from beam_jobs.classes.load_classes import load_folder, load_vocabulary
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.dataset import dataset_folder, records
from beam_jobs.statistics.counts import load_images_per_class
from model.config import Config
from model.evaluation.evaluator import Evaluator
from model.evaluation.paired import PairedScores
from model.inputs import targets
from model.scores import tagging
from model.scores.coherent import bottom_up, coherent
from model.scores.scoring import Scored, dense_ledger
from model.workdir import CONFIG, read_json
from model.workers.team import Counts
from serving.api import contract
from tfx_pipeline import names

CANDIDATE, BASELINE = tfma.CANDIDATE_KEY, tfma.BASELINE_KEY
FIGURES, PAIRED = "TaggerFigures", "PairedDifferences"
# As `tagforest evaluate` has them in a batch.
_BATCH = 64


@dataclass(frozen=True)
class Judged:
    """Where the things lie that the metrics need.

    Attributes:
        dataset: folder of the data set that is judged by.
        run: working directory of the candidate: config and calibration.
        models: name in TFMA -> folder of its classes.
    """

    dataset: str
    run: str
    models: Mapping[str, str]

    def to_json(self) -> str:
        """Returns it as a metric's config."""
        return json.dumps({"judged": json.dumps(vars(self), sort_keys=True)})


def eval_config(judged: Judged) -> tfma.EvalConfig:
    """Returns the TFMA configuration of the Evaluator, without thresholds."""
    several = len(judged.models) > 1
    specs = [
        tfma.ModelSpec(
            name=name if several else "",
            is_baseline=name == BASELINE,
            # Loads the SavedModel as it is: TFMA's own Keras loader expects
            # Keras 2.
            model_type=tfma.TF_GENERIC,
            signature_name=contract.TF_EXAMPLE,
            # Made coherent, what `tagforest evaluate` ranks by.
            prediction_key=contract.RAW_SCORES,
            label_key=records.LABEL_ID,
            # On accelerators batches grow until memory is out.
            inference_batch_size=_BATCH,
        )
        for name in judged.models
    ]
    wanted = [FIGURES, PAIRED] if several else [FIGURES]
    metrics = [
        tfma.MetricConfig(
            module=names.METRICS_MODULE,
            class_name=name,
            config=judged.to_json(),
        )
        for name in wanted
    ]
    return tfma.EvalConfig(
        model_specs=specs,
        slicing_specs=[tfma.SlicingSpec()],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
    )


class TaggerFigures(tfma.metrics.Metric):
    """All figures of `model.evaluation.result.Evaluation`, by their names.

    `figures/f1_at_5/model` is what `<split>.json` has at that place.
    """

    def __init__(self, judged: str, name: str = FIGURES):
        super().__init__(
            metric_util.merge_per_key_computations(_figures),
            name=name,
            judged=judged,
        )


class PairedDifferences(tfma.metrics.Metric):
    """Differences of the candidate from the baseline, with their intervals.

    `paired/f1_at_5/low` and so on, see `model.evaluation.paired`.
    """

    def __init__(self, judged: str, name: str = PAIRED):
        super().__init__(_paired, name=name, judged=judged)


def _figures(
    name: str,
    judged: str,
    eval_config: tfma.EvalConfig | None = None,
    model_name: str = "",
    output_name: str = "",
    example_weighted: bool = False,
) -> list[tfma.metrics.MetricComputation]:
    """Called by TFMA, once for each model."""
    del output_name, example_weighted
    work = _FiguresOf(judged, model_name)
    return [_computation(name, work, eval_config, model_name)]


def _paired(
    name: str, judged: str, eval_config: tfma.EvalConfig | None = None, **_: Any
) -> list[tfma.metrics.MetricComputation]:
    work = _PairOf(judged)
    return [_computation(name, work, eval_config, CANDIDATE)]


def _computation(
    name: str, work: _Work, config: tfma.EvalConfig | None, model_name: str
) -> tfma.metrics.MetricComputation:
    # TFMA tells computations apart by the keys that they announce; what they
    # put out may be more.
    key = metric_types.MetricKey(name=name, model_name=model_name)
    return tfma.metrics.MetricComputation(
        keys=[key],
        # Whole records: parsed as evaluation does.
        preprocessors=[
            metric_types.InputPreprocessor(include_default_inputs=True)
        ],
        combiner=_InBatches(work, config, model_name),
    )


class _Work(Protocol):
    """What is counted of images, and the figures that it gives."""

    @property
    def models(self) -> Sequence[str]:
        """The models whose scores it needs, in this order."""

    def start(self) -> Any:
        """Returns counts of nothing."""

    def update(
        self, counts: Any, examples: list[bytes], scores: list[np.ndarray]
    ) -> None:
        """Adds a batch; of each model its scores [images, its classes]."""

    def figures(self, counts: Any) -> Iterator[tuple[str, float]]:
        """Yields names and values."""


class _FiguresOf:
    def __init__(self, judged: str, model_name: str):
        self.models: Sequence[str] = (model_name,)
        self._judged = judged
        self._of_candidate = model_name != BASELINE

    def start(self) -> Evaluator:
        loaded = _loaded(self._judged)
        # Of the baseline only the scores are known here.
        fitted = loaded.tagging if self._of_candidate else None
        return Evaluator(loaded.hierarchy, loaded.train_counts, fitted)

    def update(
        self, counts: Evaluator, examples: list[bytes], scores: list[np.ndarray]
    ) -> None:
        loaded = _loaded(self._judged)
        labels, ledger = loaded.labels(examples)
        (name,) = self.models
        aligned = loaded.aligned(name or CANDIDATE, scores[0])
        counts.update(Scored(labels, aligned, ledger))

    def figures(self, counts: Evaluator) -> Iterator[tuple[str, float]]:
        result = counts.result(dataset_folder.VALIDATION)
        yield from flat(result.to_json())
        # Not rounded: the gate decides by these.
        for figure, comparison in result.figures.items():
            for part in ("model", "baseline", "ceiling"):
                value = getattr(comparison, part)
                yield f"figures/{figure}/{part}", value


class _PairOf:
    models: Sequence[str] = (CANDIDATE, BASELINE)

    def __init__(self, judged: str):
        self._judged = judged

    def start(self) -> PairedScores:
        loaded = _loaded(self._judged)
        common = loaded.common()
        leaves = common[loaded.hierarchy.is_leaf[common]]
        return PairedScores(common, leaves)

    def update(
        self,
        counts: PairedScores,
        examples: list[bytes],
        scores: list[np.ndarray],
    ) -> None:
        loaded = _loaded(self._judged)
        labels, _ = loaded.labels(examples)
        both = zip(self.models, scores, strict=True)
        counts.update(labels, *(loaded.aligned(n, s) for n, s in both))

    def figures(self, counts: PairedScores) -> Iterator[tuple[str, float]]:
        for name, difference in counts.differences().items():
            for part, value in difference.to_json().items():
                yield f"paired/{name}/{part}", float(value)


# Both metrics of both models need it, in each process that counts.
@functools.lru_cache(maxsize=2)
def _loaded(judged: str) -> _Loaded:
    return _Loaded(Judged(**json.loads(judged)))


class _Loaded:
    """The data set's classes, and those of the models beside them."""

    def __init__(self, judged: Judged):
        self.vocabulary, self.hierarchy = load_folder(judged.dataset)
        self._edges = bottom_up(self.hierarchy)
        self.config = Config.from_json(
            Path(judged.run, CONFIG).read_text()
        ).data
        self.train_counts = load_images_per_class(
            judged.dataset, dataset_folder.TRAIN, self.vocabulary
        )
        run = Path(judged.run)
        fitted = read_json(run / tagging.SUMMARY, None)
        # The component before has fitted it to the weights in that folder.
        self.tagging = fitted and tagging.load(
            run, self.vocabulary, fitted["weights"]
        )
        self._columns = {
            name: columns_of(self.vocabulary, load_vocabulary(folder))
            for name, folder in judged.models.items()
        }

    def common(self) -> np.ndarray:
        """Returns the classes that all models know, int [common]."""
        known = [columns >= 0 for columns in self._columns.values()]
        return np.flatnonzero(np.all(known, axis=0))

    def aligned(self, name: str, scores: np.ndarray) -> np.ndarray:
        """Returns a model's scores by the data set's classes.

        A class that the model does not know scores 0, but where it knows one
        below it.
        """
        columns = self._columns[name]
        own = np.where(columns >= 0, scores[:, columns], 0).astype(np.float32)
        return coherent(own, self._edges)

    def labels(self, examples: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """Returns labels and ledger of records, both [images, classes]."""
        # Tells verified absent from unknown, as evaluation does.
        config = replace(self.config, unknown="ignore")
        spec = targets.label_spec(config) | records.feature_spec(
            records.LABEL_LEDGER
        )
        features = tf.io.parse_example(examples, spec)
        classes = len(self.vocabulary)
        labels = targets.dense_targets(features, classes, config).numpy()
        ids = features[records.LABEL_ID]
        codes = features[records.LABEL_LEDGER].flat_values.numpy()
        places = ids.indices.numpy()[:, 0], ids.values.numpy()
        return labels, dense_ledger(*places, codes, labels.shape)


def columns_of(vocabulary: Vocabulary, other: Vocabulary) -> np.ndarray:
    """Returns where another vocabulary has these classes, by WordNet id.

    Returns:
        int64 [classes]; -1 for a class that it lacks.
    """
    return np.array(
        [other.index_of(c.wnid) if c.wnid in other else -1 for c in vocabulary],
        np.int64,
    )


def flat(values: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yields the numbers of nested JSON with the path to each."""
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(values, Mapping):
        items = values.items()
    elif isinstance(values, list):
        items = enumerate(values)
    elif isinstance(values, int | float) and not isinstance(values, bool):
        yield prefix, float(values)
    for name, value in items:
        yield from flat(value, f"{prefix}/{name}" if prefix else str(name))


class _InBatches(beam.CombineFn):
    """Gathers examples into batches, and counts each with its work."""

    def __init__(
        self, work: _Work, config: tfma.EvalConfig | None, model_name: str
    ):
        self._work = work
        self._config = config
        self._model_name = model_name

    def create_accumulator(self) -> tuple[Any, list]:
        return self._work.start(), []

    def add_input(
        self,
        mutable_accumulator: tuple[Any, list],
        element: tfma.metrics.StandardMetricInputs,
    ) -> tuple[Any, list]:
        counts, waiting = mutable_accumulator
        scores = [self._scores(element, name) for name in self._work.models]
        waiting.append((_record(element), scores))
        if len(waiting) >= _BATCH:
            self._count(counts, waiting)
        return counts, waiting

    def _scores(
        self, element: tfma.metrics.StandardMetricInputs, name: str
    ) -> np.ndarray:
        ((_, scores, _),) = metric_util.to_label_prediction_example_weight(
            element, self._config, name, flatten=False
        )
        return np.asarray(scores, np.float32).reshape(-1)

    def _count(self, counts: Any, waiting: list) -> None:
        if waiting:
            examples, scores = zip(*waiting, strict=True)
            by_model = [np.stack(s) for s in zip(*scores, strict=True)]
            self._work.update(counts, list(examples), by_model)
            waiting.clear()

    def merge_accumulators(
        self, accumulators: Iterable[tuple[Any, list]]
    ) -> tuple[Any, list]:
        merged: Counts | None = None
        for counts, waiting in accumulators:
            self._count(counts, waiting)
            if merged is None:
                merged = counts
            else:
                merged.add_tables(counts.tables())
        return merged, []

    def extract_output(
        self, accumulator: tuple[Any, list]
    ) -> dict[tfma.metrics.MetricKey, float]:
        counts, waiting = accumulator
        self._count(counts, waiting)
        return {
            metric_types.MetricKey(name, self._model_name): value
            for name, value in self._work.figures(counts)
        }


def _record(element: tfma.metrics.StandardMetricInputs) -> bytes:
    record = element[tfma.INPUT_KEY]
    return record if isinstance(record, bytes) else np.asarray(record).item()
