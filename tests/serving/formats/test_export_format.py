"""Every format gives TensorFlow's answers, or is not written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from beam_jobs.errors import InputError
from serving.formats import export_format, kinds, parity
from serving.formats.check_images import batches
from serving.formats.graph import reference
from serving.formats.options import FormatOptions
from serving.formats.parity import Limits, as_images


def needs(name: str) -> None:
    for package in kinds.KINDS[name].packages:
        pytest.importorskip(package, reason=f"{package} is not installed")


@pytest.fixture(name="pixels")
def fixture_pixels(small_tagger):
    (batch,) = batches(small_tagger, FormatOptions("onnx", images=7))
    return batch.pixels


def expected(tagger, pixels):
    return reference(tagger)(as_images(pixels)).numpy()


@pytest.mark.large  # A minute beside other work.
@pytest.mark.ci
@pytest.mark.parametrize("name", kinds.KINDS)
@pytest.mark.parametrize("precision", kinds.PRECISIONS)
def test_formats(small_tagger, squares, tmp_path, name, precision, pixels):
    needs(name)
    options = FormatOptions(name, precision, dataset=str(squares))
    out = tmp_path / "out"
    text = export_format.export_model(small_tagger, out, options)
    assert f"{name} {precision} beside TensorFlow, on 6 validation" in text
    told = json.loads((out / "parity.json").read_text())
    assert told["model_version"] == small_tagger.weights_version
    assert told["packages"].keys() >= {"tensorflow"}
    assert (name == "openvino") == ("as_it_comes" in told)
    run = export_format._module(options).opened(out / kinds.KINDS[name].file)
    # As many at once as there are.
    found = np.concatenate([run(pixels[:1]), run(pixels[1:])])
    assert (found.shape, found.dtype) == ((7, 5), np.float32)
    most = {"float32": 1e-5, "float16": 5e-3, "int8": 5e-2}[precision]
    theirs = expected(small_tagger, pixels)
    np.testing.assert_allclose(found, theirs, atol=most)
    # Quantised or not, no class below is more probable.
    assert (found[:, :1] >= found).all()


def test_photo_apps_send_blue_first(small_tagger, tmp_path, pixels):
    needs("onnx")
    import onnxruntime

    options = FormatOptions("onnx", layout="wd", images=8)
    out = tmp_path / "out"
    text = export_format.export_model(small_tagger, out, options)
    assert "on 8 images of noise, without labels" in text
    # As such apps do.
    session = onnxruntime.InferenceSession(out / "model.onnx")
    (given,) = session.get_inputs()
    assert given.shape[1:] == [16, 16, 3]
    bgr = pixels[..., ::-1].astype(np.float32)
    (found,) = session.run(None, {given.name: bgr})
    theirs = expected(small_tagger, pixels)
    np.testing.assert_allclose(found, theirs, atol=1e-5)


def test_beyond_the_limits_nothing_is_written(
    small_tagger, tmp_path, monkeypatch
):
    limits = {"float32": Limits(probability=-1.0)}
    monkeypatch.setattr(export_format, "LIMITS", limits)
    with pytest.raises(export_format.NotEqualError) as caught:
        export_format.export_model(
            small_tagger, tmp_path / "out", FormatOptions("litert")
        )
    assert "at most -1 is allowed; nothing was written" in str(caught.value)
    assert caught.value.status == 4
    assert list(tmp_path.iterdir()) == []


def test_detectors_are_refused(tmp_path):
    from tests.helpers.task_models import detector

    with pytest.raises(InputError, match="exported as SavedModel alone"):
        export_format.export_model(
            detector(), tmp_path / "out", FormatOptions("litert")
        )


def test_one_class_an_image(small_tagger, tmp_path, pixels):
    import dataclasses

    tagger = dataclasses.replace(small_tagger, one_class=True, tagging=None)
    out = tmp_path / "out"
    export_format.export_model(tagger, out, FormatOptions("litert", images=8))
    from serving.formats import litert_file

    found = litert_file.opened(out / "model.tflite")(pixels)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)


def test_the_limits_are_those_of_the_guide():
    assert parity.LIMITS == {
        "float32": Limits(probability=1e-4, tags=0),
        "float16": Limits(f1=0.001),
        "int8": Limits(f1=0.005),
    }
