"""Small whole runs of the pipeline."""

from __future__ import annotations

from dataclasses import replace

from beam_jobs.cli_options import build_options
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.scenes.write_scenes import write_scenes
from model.evaluation.gate_options import ModelGateOptions
from tfx_pipeline.report import last_step, open_store
from tfx_pipeline.run_options import RunOptions

SMALL = (
    "data.image_size=16",
    "network.blocks=(1,)",
    "network.filters=(8,)",
    "network.strides=(1,)",
    "schedule.batch_size=32",
    "schedule.epochs=2",
)
SPLITS = "train=0.7,validation=0.15,calibration=0.15"
# A network as small as this is not far above the most frequent tags.
ANY = ModelGateOptions(min_gain=-1, min_validation_images=1)


def small_scenes(folder):
    """Draws 176 images of one class and 160 scenes; three are broken."""
    write_scenes(
        folder,
        imagenet_images_per_class=2,
        open_images=160,
        image_size=32,
        progress=False,
    )
    return folder


def options_of(root, *sources, imagenet=None, **changes):
    # Of two spans the ids of ImageNet's images would be the same.
    of_imagenet = sources if imagenet is None else imagenet
    given = {
        "imagenet": [str(s / "imagenet") for s in of_imagenet],
        "open_images": [str(s / "open_images") for s in sources],
        "min_images_open_images": 1,
        "validation_per_class": 0,
        "out": "",
        "splits": SPLITS,
    }
    options = RunOptions(
        root=str(root),
        dataset=build_options(DatasetOptions, given),
        overrides=SMALL,
        model_gate=ANY,
    )
    return replace(options, **changes)


def ran(lines):
    """Returns the components that a run has not taken from the cache."""
    return [line.split()[0] for line in lines if " cached " not in line]


def step(options, component):
    return last_step(open_store(options.root), component)
