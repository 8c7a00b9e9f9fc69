"""Classify, Regress and MultiInference: `tf.Example`s -> labels or numbers.

For any SavedModel whose signature has one input `inputs`, serialized
`tf.Example`s, and the outputs that TensorFlow Serving expects
(https://github.com/tensorflow/serving, `servables/tensorflow/classifier.cc`,
`regressor.cc`, `multi_inference.cc`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from grpc import StatusCode

from serving.api import contract, protos
from serving.api.errors import RequestError, invalid_argument
from serving.saved_model.servable import Signature
from serving.server import served
from serving.server.answers import Request, run_predict
from serving.server.loaded_version import LoadedVersion

INPUTS = contract.CLASSIFY_INPUTS
_CLASSES, _SCORES = contract.CLASSES, contract.SCORE_VALUES
_REGRESSIONS = "outputs"
_NO_SIGNATURE = "No signature was found with the name:"
CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"


def read_examples(request_input: Any) -> np.ndarray:
    """Returns the serialized examples of a `tensorflow.serving.Input`.

    A context is put before each example, so that an example's own features
    win.

    Args:
        request_input: of a ClassificationRequest or the like.

    Returns:
        object (bytes) [N], N at least 1.

    Raises:
        RequestError: INVALID_ARGUMENT, no examples, or more bytes than a
            request may have once each has its context.
    """
    shared = request_input.example_list_with_context
    examples = shared.examples or request_input.example_list.examples
    if not examples:
        raise invalid_argument("Input is empty.")
    context = shared.context.SerializeToString()
    if len(context) * len(examples) > contract.MAX_REQUEST_BYTES:
        raise invalid_argument(
            f"{len(examples)} examples with a context of {len(context)} bytes "
            f"each; at most {contract.MAX_REQUEST_BYTES} bytes are allowed"
        )
    # Serialized messages one after the other are read as one, merged.
    rows = np.empty(len(examples), object)
    rows[:] = [context + e.SerializeToString() for e in examples]
    return rows


def run_classify(loaded: LoadedVersion, request: Request) -> Any:
    """Returns the ClassificationResult of a request's examples.

    Args:
        request: its content is a `tensorflow.serving.Input`.

    Raises:
        RequestError: INVALID_ARGUMENT, no signature for it, or no examples;
            and what `run_predict` raises.
    """
    _check_classify(_signature(loaded, request.signature_name, _NO_SIGNATURE))
    examples = read_examples(request.content)
    return _to_classifications(_run(loaded, request, examples))


def run_regress(loaded: LoadedVersion, request: Request) -> Any:
    """Returns the RegressionResult of a request's examples.

    Args and errors are those of `run_classify`.
    """
    _check_regress(_signature(loaded, request.signature_name, _NO_SIGNATURE))
    examples = read_examples(request.content)
    return _to_regressions(_run(loaded, request, examples))


def run_multi_inference(loaded: LoadedVersion, request: Request) -> Any:
    """Returns the MultiInferenceResponse of several signatures' answers.

    As in TensorFlow Serving, all of them must read the same tensor, which
    signatures of one graph do, but not those that TensorFlow 2 exports.

    Args:
        loaded: the version that the first task asks for.
        request: its content is a MultiInferenceRequest.

    Raises:
        RequestError: INVALID_ARGUMENT, tasks that do not go together;
            UNIMPLEMENTED, another method; and what `run_classify` raises.
    """
    tasks = request.content.tasks
    _check_tasks(loaded, tasks)
    examples = read_examples(request.content.input)
    reply = protos.inference_pb2.MultiInferenceResponse()
    for task in tasks:
        name = task.model_spec.signature_name or contract.TAGS
        asked = replace(request, signature_name=name)
        outputs = _run(loaded, asked, examples)
        result = reply.results.add()
        result.model_spec.name = request.model
        result.model_spec.version.value = loaded.version
        result.model_spec.signature_name = name
        if task.method_name == CLASSIFY_METHOD:
            found = _to_classifications(outputs)
            result.classification_result.CopyFrom(found)
        else:
            result.regression_result.CopyFrom(_to_regressions(outputs))
    return reply


def _check_tasks(loaded: LoadedVersion, tasks: Sequence[Any]) -> None:
    seen: set[str] = set()
    tensors: set[str] = set()
    for task in tasks:
        spec = task.model_spec
        if not spec.name:
            raise invalid_argument("Found ModelSpec with an empty model name.")
        if spec.name != tasks[0].model_spec.name:
            raise invalid_argument(
                "All ModelSpecs in a MultiInferenceRequest must access the "
                "same model name."
            )
        name = spec.signature_name or contract.TAGS
        if name in seen:
            raise invalid_argument(f"Duplicate evaluation of signature: {name}")
        seen.add(name)
        unknown = "Requested signature not found in model graph:"
        signature = _signature(loaded, name, unknown)
        _check_of(task.method_name)(signature)
        tensors.add(loaded.servable.signature_defs[name].inputs[INPUTS].name)
        if len(tensors) > 1:
            raise invalid_argument(
                "Input tensor must be the same for all Signatures."
            )


def _check_of(method_name: str) -> Callable[[Signature], None]:
    checks = {CLASSIFY_METHOD: _check_classify, REGRESS_METHOD: _check_regress}
    if method_name not in checks:
        raise RequestError(
            StatusCode.UNIMPLEMENTED,
            f"Unsupported signature method_name: {method_name}",
        )
    return checks[method_name]


def _signature(loaded: LoadedVersion, name: str, unknown: str) -> Signature:
    found = loaded.servable.signatures.get(name)
    if found is None:
        raise invalid_argument(f"{unknown} {name}")
    return found


def _check_classify(signature: Signature) -> None:
    _check_input(signature)
    if len(signature.outputs) not in (1, 2):
        raise invalid_argument(
            "Expected one or two output Tensors, found "
            f"{len(signature.outputs)}"
        )
    _check_input_name(signature, "classification")
    if not {_CLASSES, _SCORES} & set(signature.outputs):
        raise invalid_argument(
            "Expected classification signature outputs to contain at least "
            f'one of "{_CLASSES}" or "{_SCORES}". Signature was: '
            f"{sorted(signature.outputs)}"
        )


def _check_regress(signature: Signature) -> None:
    _check_input(signature)
    if len(signature.outputs) != 1:
        raise invalid_argument("Expected one output Tensor.")
    _check_input_name(signature, "regression")
    if _REGRESSIONS not in signature.outputs:
        raise invalid_argument(
            "No regression outputs found in SignatureDef: "
            f"{sorted(signature.outputs)}; {_REGRESSIONS!r} is needed"
        )


def _check_input(signature: Signature) -> None:
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")


def _check_input_name(signature: Signature, kind: str) -> None:
    if INPUTS not in signature.inputs:
        raise invalid_argument(
            f"No {kind} inputs found in SignatureDef: "
            f"{sorted(signature.inputs)}; {INPUTS!r} is needed"
        )


def _run(
    loaded: LoadedVersion, request: Request, examples: np.ndarray
) -> dict[str, np.ndarray]:
    served.current().examples = len(examples)
    outputs = run_predict(loaded, request, {INPUTS: examples})
    for key, array in outputs.items():
        if not array.ndim or len(array) != len(examples):
            raise invalid_argument(
                f"Expected {key} output batch size of {len(examples)}. "
                f"Got: {list(array.shape)}"
            )
    return outputs


def _to_classifications(outputs: dict[str, np.ndarray]) -> Any:
    classes = _checked(outputs, _CLASSES, "object", "DT_STRING")
    scores = _checked(outputs, _SCORES, "float32", "DT_FLOAT")
    widths = {a.shape[1] for a in (classes, scores) if a is not None}
    if len(widths) != 1:
        raise invalid_argument(
            "Tensors class and score should match in dim_size(1). Got "
            f"{sorted(widths)}"
        )
    result = protos.classification_pb2.ClassificationResult()
    rows = len(next(iter(outputs.values())))
    for row in range(rows):
        entry = result.classifications.add()
        for column in range(*widths):
            found = entry.classes.add()
            if classes is not None:
                # The field is text: what is no UTF-8 has no place in it.
                found.label = classes[row, column].decode("utf-8", "replace")
            if scores is not None:
                found.score = float(scores[row, column])
    return result


def _checked(
    outputs: dict[str, np.ndarray], key: str, dtype: str, shown: str
) -> np.ndarray | None:
    array = outputs.get(key)
    if array is None:
        return None
    if array.ndim != 2:
        raise invalid_argument(
            "Expected Tensor shape: [batch_size num_classes] but got "
            f"{list(array.shape)}"
        )
    if array.dtype.name != dtype:
        raise invalid_argument(
            f"Expected {key} Tensor of {shown}. Got: {array.dtype.name}"
        )
    return array


def _to_regressions(outputs: dict[str, np.ndarray]) -> Any:
    array = outputs[_REGRESSIONS]
    if array.ndim != 1 and array.shape[1:] != (1,):
        raise invalid_argument(
            "Expected output Tensor shape to be either [batch_size] or "
            f"[batch_size, 1] but got {list(array.shape)}"
        )
    if array.dtype != np.float32:
        raise invalid_argument(
            f"Expected output Tensor of DT_FLOAT.  Got: {array.dtype.name}"
        )
    result = protos.regression_pb2.RegressionResult()
    for value in array.ravel().tolist():
        result.regressions.add().value = value
    return result
