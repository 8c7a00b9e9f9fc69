"""One worker of a training, on one or two CPU devices.

    python worker_process.py DATASET WORKDIR DEVICES

Then it evaluates the validation split with all workers, for
`evaluated-N.json` in the workdir.
"""

import functools
import json
import sys
from pathlib import Path

import tensorflow as tf
from tensorflow.python.distribute import collective_all_reduce_strategy

from model import workdir
from model.config import Config
from model.network.tagger import Tagger
from model.training import strategy as strategy_
from model.training import validation, worker
from model.workdir import WEIGHTS
from model.workers import cluster


def use_devices(count: int) -> None:
    """Lets a worker have several replicas.

    TensorFlow takes one CPU and all GPUs of a worker: here CPUs stand for
    GPUs.
    """
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * count,
    )
    extended = collective_all_reduce_strategy.CollectiveAllReduceExtended

    def local_devices(self, resolver, worker_device):
        names = (f"{worker_device}/device:CPU:{i}" for i in range(count))
        return tuple(names), "CPU"

    extended._initialize_local_devices = local_devices


def main(dataset: str, folder: Path, devices: int) -> None:
    if devices > 1:
        use_devices(devices)
    # One strategy for training and evaluation.
    make = functools.cache(strategy_.make_strategy)
    strategy_.make_strategy = lambda workers, *settings: make(workers)
    config = Config.from_json((folder / workdir.CONFIG).read_text())
    worker.train_worker(config, dataset, folder)
    workers = cluster.workers_from_environment()
    strategy = strategy_.make_strategy(workers)
    with strategy.scope():
        tagger = Tagger(config, 5)
        tagger.compile(jit_compile=False)
        # All wait for the chief's file here.
        context = tf.constant(1.0)
        strategy.reduce("SUM", context, axis=None)
        tagger.load_weights(folder / WEIGHTS)
    data, steps = validation.distributed(config, dataset, strategy, 5)
    logs = tagger.evaluate(data, steps=steps, return_dict=True, verbose=0)
    values = {name: float(value) for name, value in logs.items()}
    path = folder / f"evaluated-{workers.index}.json"
    path.write_text(json.dumps(values))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
