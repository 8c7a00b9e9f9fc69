"""Which benchmarks there are, and how long each takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Benchmark:
    """One module of this folder with `run(folder, short)`.

    Attributes:
        about: what is compared, in a line.
        seconds: about, on 2 quiet cores of 2.6 GHz.
        threads: of TensorFlow; None for one a core. With one, no thread of a
            step waits for another that the kernel has put aside.
    """

    about: str
    seconds: int
    threads: int | None = None


# In the order of a run: what a record goes through.
BENCHMARKS = {
    "labels": Benchmark("label rules against NLTK's closure", 70),
    "hierarchy": Benchmark("our parents against the published ones", 10),
    "label_job": Benchmark("the job without images, 1 and 2 processes", 250),
    "dataset": Benchmark("the job against one script without Beam", 540),
    "download": Benchmark("downloads against a script of threads", 120),
    "input_pipeline": Benchmark("training input against the released", 260),
    "reading": Benchmark("a worker's part against a stream of all", 540),
    "loss": Benchmark("losses against plain cross-entropy", 190, threads=1),
    "train_step": Benchmark("our step against Keras' own", 155, threads=1),
    "accumulation": Benchmark("a batch in parts", 60, threads=1),
    "transfer": Benchmark("boxes and masks against tags", 200, threads=1),
    "two_workers": Benchmark("two workers against one", 240),
    "serving": Benchmark("the server against calls of the model", 240),
    "bulk": Benchmark("bulk against a loop over the model", 120),
}


def environment(benchmark: Benchmark, cores: int) -> dict[str, str]:
    """Returns variables that must be set before TensorFlow is imported."""
    threads = str(benchmark.threads or cores)
    return {
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        # As the command line sets it.
        "TF_ENABLE_ONEDNN_OPTS": "1",
        # Equal order in sets and dicts of text, and so equal work.
        "PYTHONHASHSEED": "0",
    }
