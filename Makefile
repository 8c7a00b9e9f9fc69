# Every target makes and refreshes .venv itself; nothing else is needed.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV := .venv
PYTHON := $(VENV)/bin/python
TAGFOREST := $(VENV)/bin/tagforest

DEMO := demo
PIPELINE := pipeline_output
TRANSFER := transfer_output

.PHONY: help
help: ## Show the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' \
	  | expand -t 14

$(VENV)/.ready: requirements.txt pyproject.toml .ci/make-venv
	@.ci/make-venv $(VENV)
	@touch $@

.PHONY: setup
setup: $(VENV)/.ready ## Make or refresh .venv.

.PHONY: demo
demo: $(VENV)/.ready ## Draw scenes, train, evaluate, serve and tag (5 min).
	@$(TAGFOREST) demo $(DEMO)

.PHONY: pipeline
pipeline: $(VENV)/.ready ## Run the TFX pipeline on drawn scenes (3 min).
	@test -d $(PIPELINE)/raw/open_images || $(TAGFOREST) scenes \
	  $(PIPELINE)/raw --images-per-class 4 --scenes 1200
	@$(TAGFOREST) pipeline --imagenet $(PIPELINE)/raw/imagenet \
	  --open-images $(PIPELINE)/raw/open_images --root $(PIPELINE) \
	  --min-images-open-images 1 --validation-per-class 0 \
	  --config demo --set schedule.epochs=16 \
	  --set schedule.batch_size=32 --min-f1 0.4

.PHONY: transfer
transfer: $(VENV)/.ready ## From the demo's training to four tasks (8 min).
	@test -f $(DEMO)/training/model.weights.h5 || $(TAGFOREST) demo $(DEMO)
	@test -d $(TRANSFER)/raw/regions || \
	  $(TAGFOREST) scenes $(TRANSFER)/raw --regions 600
	@$(TAGFOREST) transfer classify $(TRANSFER)/raw/regions/folders \
	  --train-per-class 40 --from $(DEMO)/training --set schedule.epochs=8 \
	  --workdir $(TRANSFER)/classify
	@$(TAGFOREST) transfer classify $(DEMO)/raw/imagenet/images \
	  --train-per-class 10 --from $(DEMO)/training --recipe probe \
	  --workdir $(TRANSFER)/synsets
	@$(TAGFOREST) transfer detect --coco $(TRANSFER)/raw/regions/instances.json \
	  --images $(TRANSFER)/raw/regions/images --from $(DEMO)/training \
	  --image-size 128 --epochs 20 --workdir $(TRANSFER)/detect
	@$(TAGFOREST) transfer segment --masks $(TRANSFER)/raw/regions/masks \
	  --mask-classes $(TRANSFER)/raw/regions/classes.csv \
	  --from $(DEMO)/training --image-size 128 --epochs 12 \
	  --workdir $(TRANSFER)/segment

.PHONY: test
test: $(VENV)/.ready ## Run the default tests (10 min).
	@$(PYTHON) -m pytest -n auto --dist loadfile --durations=25

.PHONY: test-ci
test-ci: $(VENV)/.ready ## Run what CI runs of the long tests (25 min).
	@$(PYTHON) -m pytest -m ci --durations=25

.PHONY: test-large
test-large: $(VENV)/.ready ## Run the long tests too.
	@$(PYTHON) -m pytest -m ""

.PHONY: lint
lint: $(VENV)/.ready ## Check style, names and types.
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

.PHONY: bench
bench: $(VENV)/.ready ## Measure ratios; ONLY=labels,loss for some.
	@$(PYTHON) -m tests.bench $(if $(ONLY),--only $(ONLY))

.PHONY: requirements
requirements: $(VENV)/.ready ## Compile the pins of both stacks anew.
	@$(VENV)/bin/uv pip compile -q --universal --python-version 3.10 \
	  --extra demo --extra ui --extra dask --extra s3 --extra kubeflow \
	  --extra onnx --extra openvino --extra otel --extra mlflow --extra dev --no-header --no-annotate --upgrade \
	  --no-emit-index-url --no-emit-find-links pyproject.toml \
	  -o requirements.txt

.PHONY: clean
clean: ## Remove what the targets made, .venv excepted.
	rm -rf $(DEMO) $(PIPELINE) $(TRANSFER) build dist *.egg-info
