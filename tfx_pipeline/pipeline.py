"""The pipeline: a flat list of components, in the order of the work."""

from __future__ import annotations

# mypy sees no messages in TFX's protos:
# mypy: disable-error-code="attr-defined"
import json
import os
from dataclasses import asdict
from pathlib import Path

import tensorflow_model_analysis as tfma
from tfx.components import (
    Evaluator,
    ExampleValidator,
    Pusher,
    SchemaGen,
    StatisticsGen,
    Trainer,
)
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
    LatestBlessedModelStrategy,
)
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.proto.pusher_pb2 import PushDestination
from tfx.proto.trainer_pb2 import EvalArgs, TrainArgs
from tfx.types.channel import BaseChannel, Channel
from tfx.types.standard_artifacts import Model, ModelBlessing

from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset_job.options import DatasetOptions
from model.config import Config
from tfx_pipeline import names
from tfx_pipeline.blessing import eval_config
from tfx_pipeline.dataset_gen import DatasetGen


def create_pipeline(
    root: str | os.PathLike[str],
    serving_dir: str | os.PathLike[str],
    dataset: DatasetOptions,
    sources: str = "",
    config: Config | None = None,
    min_f1: float = names.MIN_F1,
    tolerance: float = names.F1_TOLERANCE,
    enable_cache: bool = True,
) -> Pipeline:
    """Returns the pipeline, ready for a runner.

    Args:
        root: folder of the artifacts and of the metadata (SQLite).
        serving_dir: gets one numbered folder for each pushed model; the
            model server watches it.
        dataset: what to build; its `out` is not used.
        sources: fingerprint of the data set's input files.
        config: of the training; None for `model.config.Config()`.
        min_f1: F1@5 that a model must exceed to be blessed, from 0 to 1.
        tolerance: how far below the last blessed model it may score.
        enable_cache: reuse the results of steps with unchanged inputs.
    """
    data = _data_components(dataset, sources)
    model = _model_components(
        examples=data[0].outputs["examples"],
        after=data[-1],
        config=config or Config(),
        evaluation=eval_config(min_f1, tolerance),
        serving_dir=os.fspath(serving_dir),
    )
    metadata = str(Path(root, names.METADATA))
    return Pipeline(
        pipeline_name=names.PIPELINE_NAME,
        pipeline_root=str(Path(root, names.ARTIFACTS)),
        metadata_connection_config=sqlite_metadata_connection_config(metadata),
        components=[*data, *model],
        enable_cache=enable_cache,
        beam_pipeline_args=list(names.BEAM_ARGS),
    )


def _data_components(dataset: DatasetOptions, sources: str) -> list[BaseNode]:
    # Reads and joins the raw annotations, and writes the records.
    wanted = {k: v for k, v in asdict(dataset).items() if k != "out"}
    examples = DatasetGen(
        options=json.dumps(wanted, sort_keys=True), sources=sources
    )
    # Describes the features of each split.
    statistics = StatisticsGen(examples=examples.outputs["examples"])
    # Infers what features a good record has; labels come in any number.
    schema = SchemaGen(
        statistics=statistics.outputs["statistics"], infer_feature_shape=False
    )
    # Looks for features that break the schema.
    validator = ExampleValidator(
        statistics=statistics.outputs["statistics"],
        schema=schema.outputs["schema"],
    )
    return [examples, statistics, schema, validator]


def _model_components(
    examples: BaseChannel,
    after: BaseNode,
    config: Config,
    evaluation: tfma.EvalConfig,
    serving_dir: str,
) -> list[BaseNode]:
    # Trains and exports a SavedModel.
    trainer = Trainer(
        run_fn=names.RUN_FN,
        examples=examples,
        train_args=TrainArgs(splits=[dataset_folder.TRAIN]),
        eval_args=EvalArgs(splits=[dataset_folder.VALIDATION]),
        custom_config={names.CONFIG: config.to_json()},
    )
    # Anomalies are told before the long training, not after it.
    trainer.add_upstream_node(after)
    # Finds the model to beat.
    resolver = Resolver(
        strategy_class=LatestBlessedModelStrategy,
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
    ).with_id(names.RESOLVER)
    resolver.add_upstream_node(trainer)
    # Measures F1@5 of both models and blesses the new one, or not.
    evaluator = Evaluator(
        examples=examples,
        example_splits=[dataset_folder.VALIDATION],
        model=trainer.outputs["model"],
        baseline_model=resolver.outputs["model"],
        eval_config=evaluation,
    )
    # Copies a blessed model to where the server looks for new versions.
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=PushDestination(
            filesystem=PushDestination.Filesystem(base_directory=serving_dir)
        ),
    )
    return [trainer, resolver, evaluator, pusher]
