import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv

from tfx_pipeline.components.curated_schema import make_schema

GOOD = {
    "image/id": [[b"a"], [b"b"]],
    "label/id": [[0, 3], [1]],
    "label/confidence": [[1.0, 0.5], [0.9]],
    "label/ledger": [[0, 1], [8]],
}


def anomalies(**changes):
    columns = GOOD | {n.replace("_", "/"): v for n, v in changes.items()}
    types = {"label/confidence": pa.float32(), "image/id": pa.binary()}
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array(rows, pa.list_(types.get(name, pa.int64())))
            for name, rows in columns.items()
        ],
        list(columns),
    )
    schema = make_schema(5)
    options = tfdv.StatsOptions(schema=schema, infer_type_from_schema=True)
    statistics = tfdv.generate_statistics_from_dataframe(
        batch.to_pandas(), options, n_jobs=1
    )
    found = tfdv.validate_statistics(statistics, schema)
    return set(found.anomaly_info)


def test_good_records_have_no_anomalies():
    assert anomalies() == set()


@pytest.mark.parametrize(
    ("feature", "rows"),
    [
        # A confidence of 7.
        ("label_confidence", [[7.0, 0.5], [0.9]]),
        # A class beyond the vocabulary.
        ("label_id", [[0, 5], [1]]),
        # A record without labels.
        ("label_id", [[0, 3], None]),
    ],
)
def test_faults_are_found(feature, rows):
    assert feature.replace("_", "/") in anomalies(**{feature: rows})


def test_ids_are_categories():
    (feature,) = [f for f in make_schema(7).feature if f.name == "label/id"]
    assert feature.int_domain.is_categorical
    assert (feature.int_domain.min, feature.int_domain.max) == (0, 6)
    assert np.isclose(feature.presence.min_fraction, 1)
