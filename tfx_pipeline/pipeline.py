"""The pipeline: a flat list of components, in the order of the work."""

from __future__ import annotations

# mypy sees no messages in TFX's protos:
# mypy: disable-error-code="attr-defined"
import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any

import tensorflow_data_validation as tfdv
from tfx.components import ExampleValidator, StatisticsGen, Trainer
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
    LatestBlessedModelStrategy,
)
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.proto.trainer_pb2 import EvalArgs, TrainArgs
from tfx.types.channel import Channel
from tfx.types.standard_artifacts import Model, ModelBlessing

from beam_jobs.data_gate.options import DataGateOptions
from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.files import storage
from model.config import Config
from model.evaluation.gate_options import ModelGateOptions
from serving.api.serve_check_options import ServeCheckOptions
from tfx_pipeline import code_digest, names
from tfx_pipeline.components.calibrator import Calibrator
from tfx_pipeline.components.curated_schema import CuratedSchema
from tfx_pipeline.components.data_gate import DataGate
from tfx_pipeline.components.dataset_gen import DatasetGen
from tfx_pipeline.components.evaluator import Evaluator
from tfx_pipeline.components.model_gate import ModelGate
from tfx_pipeline.components.pusher import Pusher
from tfx_pipeline.components.serve_check import ServeCheck
from tfx_pipeline.components.tagging import Tagging


@dataclass(frozen=True)
class PipelineOptions:
    """What a pipeline is made of.

    Attributes:
        root: folder of the artifacts, of the metadata and of the state.
        model_dir: gets one numbered folder for each pushed model; the model
            server watches it.
        dataset: what to build; its `out` is not used.
        existing: a data set to take instead, or empty.
        sources: fingerprint of the data set's input files, or a runtime
            parameter that each run gives.
        beam_args: of the data set job and of TFX's own Beam components; none
            for this process and what the run's settings say.
        config: of the training.
        data_gate, model_gate, serve_check: limits.
        schema: path of a schema instead of the curated one, or empty.
        keep_versions: in the model's folder; 0 for all.
        push_again: changes where what was pushed has gone.
        tag_images: folders of images to tag, if any.
        images: digest of what lies in them.
        enable_cache: reuse the results of steps with unchanged inputs.
    """

    root: str
    model_dir: str
    dataset: DatasetOptions
    existing: str = ""
    sources: Any = ""
    beam_args: tuple[str, ...] = ()
    config: Config = field(default_factory=Config)
    data_gate: DataGateOptions = DataGateOptions()
    model_gate: ModelGateOptions = ModelGateOptions()
    serve_check: ServeCheckOptions = ServeCheckOptions()
    schema: str = ""
    keep_versions: int = 5
    push_again: str = ""
    tag_images: tuple[str, ...] = ()
    images: str = ""
    enable_cache: bool = True


def create_pipeline(options: PipelineOptions) -> Pipeline:
    """Returns the pipeline, ready for a runner."""
    data = _data_components(options)
    model = _model_components(options, data[0], data[-1])
    push = _push_components(options, model)
    root = options.root
    metadata = None
    if not storage.is_remote(root):
        path = os.path.join(root, names.METADATA)
        metadata = sqlite_metadata_connection_config(path)
    return Pipeline(
        pipeline_name=names.PIPELINE_NAME,
        pipeline_root=storage.join(root, names.ARTIFACTS),
        metadata_connection_config=metadata,
        components=[*data, *model, *push],
        enable_cache=options.enable_cache,
        beam_pipeline_args=list(options.beam_args or names.BEAM_ARGS),
    )


def _data_components(options: PipelineOptions) -> list[BaseNode]:
    wanted = {k: v for k, v in asdict(options.dataset).items() if k != "out"}
    # Reads and joins the raw annotations, and writes the records.
    examples = DatasetGen(
        options=_json(wanted),
        existing=options.existing,
        sources=options.sources,
        beam_args=_json(options.beam_args),
        code=code_digest.digest(code_digest.DATA),
        root=options.root,
    )
    channel = examples.outputs["examples"]
    # What good records are like; said, not inferred from the same records.
    own = storage.sha256(options.schema) if options.schema else ""
    schema = CuratedSchema(
        examples=channel,
        path=options.schema,
        # In it the gate's code, too: what follows is run again with it.
        content=f"{own}{code_digest.digest(code_digest.DATA_GATE)}",
    )
    # Describes the features of each split.
    statistics = StatisticsGen(
        examples=channel,
        schema=schema.outputs["schema"],
        stats_options=tfdv.StatsOptions(infer_type_from_schema=True),
    )
    # Looks for features that break the schema.
    validator = ExampleValidator(
        statistics=statistics.outputs["statistics"],
        schema=schema.outputs["schema"],
    )
    # Ends the run where the data should not be trained on.
    gate = DataGate(
        examples=channel,
        anomalies=validator.outputs["anomalies"],
        options=_json(asdict(options.data_gate)),
        root=options.root,
    )
    return [examples, schema, statistics, validator, gate]


def _model_components(
    options: PipelineOptions, data: BaseNode, after: BaseNode
) -> list[BaseNode]:
    examples = data.outputs["examples"]
    # Trains, or goes on where a training was killed.
    trainer = Trainer(
        run_fn=names.RUN_FN,
        examples=examples,
        train_args=TrainArgs(splits=[dataset_folder.TRAIN]),
        eval_args=EvalArgs(splits=[dataset_folder.VALIDATION]),
        custom_config={
            # Only what the weights depend on: the rest would train again.
            names.CONFIG: options.config.to_result_json(),
            names.CODE: code_digest.digest(code_digest.TRAINING),
            names.ROOT: options.root,
        },
    )
    trainer.add_upstream_node(after)
    # Fits probabilities, evaluates and exports a SavedModel.
    calibrator = Calibrator(
        examples=examples,
        model_run=trainer.outputs["model_run"],
        code=code_digest.digest(code_digest.MODEL),
    )
    # Finds the model to beat.
    resolver = Resolver(
        strategy_class=LatestBlessedModelStrategy,
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
    ).with_id(names.RESOLVER)
    resolver.add_upstream_node(calibrator)
    model = calibrator.outputs["model"]
    # Measures both models on the validation split.
    evaluator = Evaluator(
        examples=examples,
        model=model,
        baseline_model=resolver.outputs["model"],
    )
    # Blesses the new one, or says why not.
    gate = ModelGate(
        model=model,
        evaluation=evaluator.outputs["evaluation"],
        baseline_model=resolver.outputs["model"],
        options=_json(asdict(options.model_gate)),
        root=options.root,
        data=options.sources,
    )
    return [trainer, calibrator, resolver, evaluator, gate]


def _push_components(
    options: PipelineOptions, model: list[BaseNode]
) -> list[BaseNode]:
    _, calibrator, _, _, gate = model
    blessed = {
        "model": calibrator.outputs["model"],
        "model_blessing": gate.outputs["blessing"],
    }
    # Loads it in the local server, and compares answers.
    check = ServeCheck(options=_json(asdict(options.serve_check)), **blessed)
    # Copies it to where the server looks for new versions.
    pusher = Pusher(
        infra_blessing=check.outputs["infra_blessing"],
        model_dir=options.model_dir,
        keep=options.keep_versions,
        again=options.push_again,
        **blessed,
    )
    if not options.tag_images:
        return [check, pusher]
    tagging = Tagging(
        pushed_model=pusher.outputs["pushed_model"],
        images="\n".join(options.tag_images),
        listing=options.images,
    )
    return [check, pusher, tagging]


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
