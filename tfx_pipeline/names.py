"""Names, dotted paths and folders of the pipeline: constants only."""

PIPELINE_NAME = "tagforest"

# Component ids, in the order in which they run.
DATASET_GEN = "DatasetGen"
STATISTICS_GEN = "StatisticsGen"
SCHEMA_GEN = "CuratedSchema"
EXAMPLE_VALIDATOR = "ExampleValidator"
DATA_GATE = "DataGate"
TRAINER = "Trainer"
CALIBRATOR = "Calibrator"
RESOLVER = "LastBlessedModel"
EVALUATOR = "Evaluator"
MODEL_GATE = "ModelGate"
SERVE_CHECK = "ServeCheck"
PUSHER = "Pusher"
TAGGING = "Tagging"
COMPONENTS = (
    *(DATASET_GEN, SCHEMA_GEN, STATISTICS_GEN, EXAMPLE_VALIDATOR, DATA_GATE),
    *(TRAINER, CALIBRATOR, RESOLVER, EVALUATOR, MODEL_GATE),
    *(SERVE_CHECK, PUSHER, TAGGING),
)

# Folders below the pipeline's root.
ARTIFACTS = "artifacts"
METADATA = "metadata.sqlite"
SERVING = "serving"
# What outlives the artifacts of a run: see `tfx_pipeline.state`.
STATE = "state"
TRAINING = "training"
REPORTS = "reports"

# Within an Examples artifact: the data set as `tagforest dataset` writes it.
DATASET = "dataset"

# Keys of the Trainer's custom config.
CONFIG = "config"
CODE = "code"
ROOT = "root"

# User code enters TFX and TFMA by dotted path.
RUN_FN = "tfx_pipeline.components.trainer.run_fn"
METRICS_MODULE = "tfx_pipeline.components.tagger_metrics"

# Exit statuses beside 0, 1 (a component failed) and 2 (wrong input).
DATA_REFUSED_STATUS = 3
MODEL_REFUSED_STATUS = 4

# Beam's work stays in this process, for TFX's own components too. The image
# is never run: without a value TFX packs itself into an archive for each
# component, 4 s and 42 MB that it never removes.
BEAM_ARGS = [
    "--runner=DirectRunner",
    "--direct_running_mode=in_memory",
    "--direct_num_workers=1",
    "--sdk_container_image=none",
]
