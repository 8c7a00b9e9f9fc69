# One image for the command line, Beam workers, the trainer and TFX components,
# so that their code cannot differ; and a second one that serves an export.
#
#   docker build -t tagforest .
#   docker build -t tagforest-serving --target serving \
#     --build-arg MODEL=demo/models/tagforest .

# The current stack needs glibc 2.39 or newer: Debian 13.
FROM python:3.13-slim-trixie AS build

# pyfarmhash, a dependency of TFX, is compiled from source.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir uv && uv venv --python "$(command -v python)" /opt/venv
ENV VIRTUAL_ENV=/opt/venv

WORKDIR /opt/tagforest
# The pins, and of what they pin only what runs: no linters, no test tools, and
# none of TensorFlow's headers (430 MB).
COPY requirements.txt pyproject.toml ./
RUN uv pip install --no-cache -c requirements.txt -r pyproject.toml \
    --extra ui --extra s3 --extra kubeflow --extra otel \
    && rm -rf /opt/venv/lib/python3*/site-packages/tensorflow/include
COPY README.md ./
COPY beam_jobs beam_jobs
COPY model model
COPY serving serving
COPY tfx_pipeline tfx_pipeline
RUN uv pip install --no-cache --no-deps . \
    && /opt/venv/bin/python -c "import beam_jobs.labels.label_rules_kernel"

FROM python:3.13-slim-trixie AS runtime
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 tagforest
# The same path: a virtual environment's scripts name their interpreter.
COPY --from=build /opt/venv /opt/venv
# Beam's launcher of workers.
COPY --from=apache/beam_python3.13_sdk:2.77.0 /opt/apache/beam /opt/apache/beam
ENV PATH=/opt/venv/bin:$PATH TF_CPP_MIN_LOG_LEVEL=2
USER tagforest
WORKDIR /home/tagforest

# Dataflow keeps an image's entrypoint and passes options for Beam's launcher,
# which must run then: https://cloud.google.com/dataflow/docs/guides/build-container-image
ENTRYPOINT ["/bin/sh", "-c", "case \"$*\" in *--provision_endpoint*|*--logging_endpoint*|*--worker_pool*) exec /opt/apache/beam/boot \"$@\" ;; *) exec tagforest \"$@\" ;; esac", "tagforest"]
CMD ["--help"]

# TensorFlow Serving with one model, gRPC on 8500 and REST on 8501.
FROM tensorflow/serving:2.20.0 AS serving
ARG MODEL=demo/models/tagforest
COPY ${MODEL} /models/tagforest
ENV MODEL_NAME=tagforest
EXPOSE 8500 8501
