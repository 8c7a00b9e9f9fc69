"""Tests of serving.traffic.prediction_log."""

import numpy as np

from serving.api import protos
from serving.api.tensor_proto import from_proto
from serving.traffic.log_format import image_rows
from serving.traffic.prediction_log import to_facts, to_record
from tests.helpers.images import noise_image

IMAGE = noise_image(0, (48, 40))
FACTS = {
    "model": "dogs",
    "version": 3,
    "api": "Predict",
    "entrypoint": "REST",
    "status": "OK",
    "time": 1767225600.25,
    "ms": 12.5,
    "sample": 0.25,
}
INPUTS = {
    "image_bytes": np.array([IMAGE, b"no image"], object),
    "max_labels": np.array([5, 7], np.int32),
    "pixels": np.ones((2, 3), np.float32),
}
OUTPUTS = {
    "wnids": np.array([[b"n1", b"own:x"], [b"", b""]], object),
    "scores": np.array([[0.9, 0.25], [0, 0]], np.float32),
    "is_tag": np.array([[True, False], [False, False]]),
    "valid": np.array([True, False]),
    "model_version": np.array([b"abc", b"abc"], object),
}


def parsed(*options, **more):
    data = to_record(FACTS, "select", INPUTS, OUTPUTS, *options, **more)
    return protos.prediction_log_pb2.PredictionLog.FromString(data)


def test_what_a_record_holds():
    log = parsed(with_inputs=True)
    meta, run = log.log_metadata, log.predict_log
    assert (meta.model_spec.name, meta.model_spec.version.value) == ("dogs", 3)
    assert meta.model_spec.signature_name == "select"
    assert meta.sampling_config.sampling_rate == 0.25
    assert meta.timestamp_secs == 1767225600
    assert meta.request_origin == "REST"
    assert list(meta.saved_model_tags) == [
        *("serve", "status=OK", "ms=12.5", "api=Predict", "weights=abc")
    ]
    assert run.request.model_spec.name == "dogs"
    assert run.request.model_spec.signature_name == "select"
    assert run.response.model_spec == meta.model_spec
    for sent, arrays in (
        (run.request.inputs, INPUTS),
        (run.response.outputs, OUTPUTS),
    ):
        assert sorted(sent) == sorted(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(from_proto(sent[name]), array)


def test_without_images_types_and_shapes_stay():
    inputs = parsed().predict_log.request.inputs
    assert from_proto(inputs["image_bytes"]).tolist() == [b"", b""]
    assert not inputs["image_bytes"].string_val
    assert not from_proto(inputs["pixels"]).any()
    assert from_proto(inputs["pixels"]).shape == (2, 3)
    assert from_proto(inputs["max_labels"]).tolist() == [5, 7]


def test_tensorflow_reads_what_was_left_out_as_empty():
    import tensorflow as tf

    inputs = parsed().predict_log.request.inputs
    assert tf.make_ndarray(inputs["pixels"]).tolist() == [[0] * 3] * 2
    # As its servers do it, which is not how its Python does.
    read = tf.io.parse_tensor(
        inputs["image_bytes"].SerializeToString(), tf.string
    )
    assert read.numpy().tolist() == [b"", b""]


def test_only_what_was_answered():
    run = parsed(("valid",)).predict_log
    assert list(run.response.outputs) == ["valid"]
    assert list(run.request.output_filter) == ["valid"]


def test_both_forms_say_the_same():
    data = to_record(FACTS, "select", INPUTS, OUTPUTS, with_inputs=True)
    assert to_facts(data) == {
        "type": "tagforest_request_log",
        **FACTS,
        "signature": "select",
        "weights": "abc",
        "time": 1767225600,
        "images": image_rows(INPUTS, OUTPUTS),
    }
    without = to_facts(to_record(FACTS, "select", INPUTS, OUTPUTS))
    assert without["images"] == image_rows({}, OUTPUTS)
    assert to_facts(b"no message") is None
