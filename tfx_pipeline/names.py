"""Names, dotted paths and thresholds of the pipeline: constants only."""

PIPELINE_NAME = "tagforest"

# Component ids, in the order in which they run.
DATASET_GEN = "DatasetGen"
STATISTICS_GEN = "StatisticsGen"
SCHEMA_GEN = "SchemaGen"
EXAMPLE_VALIDATOR = "ExampleValidator"
TRAINER = "Trainer"
RESOLVER = "LastBlessedModel"
EVALUATOR = "Evaluator"
PUSHER = "Pusher"

# Folders below the pipeline's root.
ARTIFACTS = "artifacts"
METADATA = "metadata.sqlite"
SERVING = "serving"

# Within an Examples artifact: the data set as `tagforest dataset` writes it.
DATASET = "dataset"

# Key of the Trainer's custom config: a `model.config.Config` as JSON.
CONFIG = "config"

# User code enters TFX and TFMA by dotted path.
RUN_FN = "tfx_pipeline.trainer_module.run_fn"
METRICS_MODULE = "tfx_pipeline.blessing"
METRIC_CLASS = "F1AtK"

F1_K = 5
F1_METRIC = f"f1_at_{F1_K}"
MIN_F1 = 0.3
# How far below the last blessed model a new one may score.
F1_TOLERANCE = 0.0

# Beam's work stays in this process, for TFX's own components too.
BEAM_ARGS = [
    "--runner=DirectRunner",
    "--direct_running_mode=in_memory",
    "--direct_num_workers=1",
]
