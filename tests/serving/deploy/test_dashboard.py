"""The Grafana dashboard names what the endpoint has, and all of its own."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.api.server_options import RequestLogOptions, ServerOptions
from serving.client.tag_client import TagClient
from serving.server.local_server import running_server
from serving.server.request_metrics import PATH
from tests.helpers.images import noise_image
from tests.helpers.waiting import wait_until

DEPLOY = Path(__file__).parent.parent.parent.parent / "serving" / "deploy"
DASHBOARD = json.loads((DEPLOY / "dashboard.json").read_text())
# A metric is what labels or a time stand behind, or what `label_values` reads.
METRIC = re.compile(r"[A-Za-z_:][\w:]*(?=\s*[{\[])|(?<=label_values\()[\w:]+")
# Labels that Prometheus adds: where it got the values from.
ADDED = {"job", "instance"}


def queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


@pytest.fixture(scope="module")
def page(model_base, tmp_path_factory):
    log = RequestLogOptions(tmp_path_factory.mktemp("log") / "a", sample=1.0)
    options = ServerOptions(grpc_port=0, rest_port=0, request_log=log)
    with running_server(model_base, options) as server:
        with TagClient(server.rest_address, "rest") as client:
            client.tag([noise_image(0)])
        url, noted = f"http://{server.rest_address}{PATH}", "request_log{"
        wait_until(lambda: noted in httpx.get(url).text)
        yield httpx.get(url).text


def names_of(page: str) -> set[str]:
    samples = (x for x in page.splitlines() if not x.startswith("#"))
    return {re.split(r"[{ ]", sample)[0] for sample in samples}


def test_every_metric_is_there_after_some_requests(page):
    asked = {name for query in queries() for name in METRIC.findall(query)}
    counted = {"tagforest_refused"}  # listed by its type until one is
    listed = {x.split()[2] for x in page.splitlines() if "# TYPE" in x}
    assert counted <= listed
    assert len(asked) > 10
    assert asked - names_of(page) - counted == set()


def test_every_metric_of_its_own_is_shown(page):
    families = re.findall(r"^# TYPE (tagforest_\w+) (\w+)$", page, re.M)
    text = "\n".join(queries())
    assert [name for name, _ in families if name not in text] == []


def test_the_guides_metrics_are_there(page):
    texts = (DEPLOY.parent / "DEPLOY.md", DEPLOY / "kubernetes.yaml")
    named = {
        name
        for text in texts
        for name in re.findall(r"tagforest_\w+(?=[{\[)])", text.read_text())
    }
    assert len(named) >= 4 and named <= names_of(page)


def test_labels_are_those_of_the_metrics(page):
    """By what is summed, shown and selected."""
    known = set(re.findall(r'[{,](\w+)="', page)) | {"reason"} | ADDED
    text = "\n".join(queries())
    by = re.findall(r"by \(([^)]*)\)", text)
    used = {label.strip() for group in by for label in group.split(",")}
    used |= set(re.findall(r"(\w+)=~", text))
    shown = json.dumps(DASHBOARD)
    used |= set(re.findall(r"\{\{(\w+)\}\}", shown))
    assert used - known == set()


def test_what_is_shown_can_be_shown():
    """Each legend's label is among those that its query keeps."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            kept = re.findall(r"by \(([^)]*)\)", target["expr"])
            for group in kept:
                assert labels <= {label.strip() for label in group.split(",")}


def test_grafana_takes_it():
    assert DASHBOARD["schemaVersion"] >= 36 and DASHBOARD["uid"]
    assert "id" not in DASHBOARD
    panels = DASHBOARD["panels"]
    ids = [panel["id"] for panel in panels]
    assert len({*ids}) == len(ids)
    places = [tuple(panel["gridPos"].values()) for panel in panels]
    assert len({*places}) == len(places)
    variables = {v["name"] for v in DASHBOARD["templating"]["list"]}
    for panel in panels:
        assert panel["title"] and panel["targets"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        refs = [target["refId"] for target in panel["targets"]]
        assert len({*refs}) == len(refs)
    built_in = {"__rate_interval", "__all"}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD)))
    assert used - built_in == variables


@pytest.mark.parametrize("query", queries())
def test_queries_are_balanced(query):
    for opening, closing in ("()", "{}", "[]"):
        assert query.count(opening) == query.count(closing)
    assert query.count('"') % 2 == 0
