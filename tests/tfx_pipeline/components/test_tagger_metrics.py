import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_specs

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.dataset import records
from beam_jobs.labels.ledger import Rule, Source, ledger_codes
from beam_jobs.statistics import page
from beam_jobs.statistics.counts import STATISTICS_FILE, Statistics
from model.config import Config
from tfx_pipeline.components.tagger_metrics import (
    BASELINE,
    CANDIDATE,
    Judged,
    columns_of,
    eval_config,
    flat,
)

WNIDS = ("n00015388", "n02084071", "n02121620", "own:soap")


def vocabulary(wnids):
    return Vocabulary(TagClass(i, w, w) for i, w in enumerate(wnids))


def write_classes(folder, wnids, parents):
    folder.mkdir(parents=True)
    classes = vocabulary(wnids)
    classes.save(folder / "vocabulary.tsv")
    Hierarchy(parents).save(folder / "hierarchy.tsv", classes)
    return classes


@pytest.fixture
def judged(tmp_path):
    parents = [(), (0,), (0,), ()]
    classes = write_classes(tmp_path / "dataset", WNIDS, parents)
    (tmp_path / "dataset/statistics").mkdir()
    found = page.to_json({"train": Statistics(4)}, classes)
    images = {wnid: 3 - i for i, wnid in enumerate(WNIDS[:3])}
    found["splits"]["train"]["images_per_class"] = images
    text = json.dumps(found)
    (tmp_path / "dataset/statistics" / STATISTICS_FILE).write_text(text)
    write_classes(tmp_path / "new", WNIDS, parents)
    # Other places, one class more and one less.
    other = ("own:soap", "n02121620", "n00015388", "own:towel")
    write_classes(tmp_path / "old", other, [(), (2,), (), ()])
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").write_text(Config().to_json())
    models = {
        CANDIDATE: str(tmp_path / "new"),
        BASELINE: str(tmp_path / "old"),
    }
    return Judged(str(tmp_path / "dataset"), str(tmp_path / "run"), models)


def record(*ids, code=0):
    features = {
        records.LABEL_ID: tf.train.Feature(
            int64_list=tf.train.Int64List(value=ids)
        ),
        records.LABEL_LEDGER: tf.train.Feature(
            int64_list=tf.train.Int64List(value=[code] * len(ids))
        ),
        records.LABEL_CONFIDENCE: tf.train.Feature(
            float_list=tf.train.FloatList(value=[1.0] * len(ids))
        ),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString()


def element(ids, candidate, baseline):
    def row(values):
        return {"raw_scores": np.array(values, np.float32)}

    return tfma.metrics.StandardMetricInputs(
        labels={n: np.array(ids) for n in (CANDIDATE, BASELINE)},
        predictions={CANDIDATE: row(candidate), BASELINE: row(baseline)},
        example_weights={n: np.array([1.0]) for n in (CANDIDATE, BASELINE)},
        input=record(*ids),
    )


def test_classes_are_found_by_their_ids():
    other = vocabulary(("own:soap", "n02121620", "n00015388", "own:towel"))
    assert columns_of(vocabulary(WNIDS), other).tolist() == [2, -1, 1, 0]


def test_numbers_of_nested_json_by_their_paths():
    values = {"a": {"b": 1, "c": "text"}, "d": [2.5, None, True], "e": 3}
    assert dict(flat(values)) == {"a/b": 1, "d/0": 2.5, "e": 3}


def test_tfma_gives_the_figures_of_both_models_by_class(judged):
    # The same answers, in the order of each model's own classes.
    rows = [
        element([0, 1], [0.9, 0.8, 0.1, 0.2], [0.2, 0.1, 0.9, 0.7]),
        element([0, 2], [0.9, 0.1, 0.8, 0.2], [0.2, 0.8, 0.9, 0.7]),
        element([3], [0.1, 0.3, 0.2, 0.9], [0.9, 0.2, 0.1, 0.7]),
    ]
    # As the Evaluator completes it.
    config = tfma.utils.update_eval_config_with_defaults(
        eval_config(judged), has_baseline=True, rubber_stamp=True
    )
    computations = metric_specs.to_computations(
        config.metrics_specs, eval_config=config
    )
    found = {}
    for computation in computations:
        combiner = pickle.loads(pickle.dumps(computation.combiner))
        # In two parts, as workers count.
        parts = [combiner.create_accumulator() for _ in range(2)]
        for i, row in enumerate(rows):
            parts[i % 2] = combiner.add_input(parts[i % 2], row)
        merged = combiner.merge_accumulators(parts)
        for key, value in combiner.extract_output(merged).items():
            found[key.model_name, key.name] = value
    model = found[CANDIDATE, "figures/macro_average_precision/model"]
    assert model == pytest.approx(1.0)
    # Of the baseline only the class that it lacks is wrong.
    earlier = found[BASELINE, "figures/macro_average_precision/model"]
    assert 0.75 <= earlier < 1
    # Over the classes that both know they are the same.
    for name in ("f1_at_5", "leaf_f1_at_5", "macro_average_precision"):
        assert found[CANDIDATE, f"paired/{name}/low"] == pytest.approx(0)
        assert found[CANDIDATE, f"paired/{name}/high"] == pytest.approx(0)
    assert found[CANDIDATE, "images"] == 3


def test_origins_with_high_codes_are_labels(judged):
    # 8 x 16: an int8 would wrap it to -128, which is no label.
    code = ledger_codes(Rule.ANNOTATED, Source.CORRECTIONS)
    assert code == 128
    alone = replace(judged, models={CANDIDATE: judged.models[CANDIDATE]})
    config = eval_config(alone)
    (computation,) = metric_specs.to_computations(
        config.metrics_specs, eval_config=config
    )
    combiner = computation.combiner
    row = tfma.metrics.StandardMetricInputs(
        labels=np.array([1]),
        predictions={"raw_scores": np.array([0.9, 0.8, 0.1, 0.2], np.float32)},
        example_weights=np.array([1.0]),
        input=record(0, 1, code=code),
    )
    counted = combiner.add_input(combiner.create_accumulator(), row)
    found = {k.name: v for k, v in combiner.extract_output(counted).items()}
    assert found["by_source/0/labels"] == 2


def test_without_a_baseline_there_is_one_model_and_no_difference(judged):
    alone = Judged(
        judged.dataset, judged.run, {CANDIDATE: judged.models[CANDIDATE]}
    )
    config = eval_config(alone)
    assert [s.name for s in config.model_specs] == [""]
    assert len(config.metrics_specs[0].metrics) == 1
