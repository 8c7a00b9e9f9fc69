import shutil

import pytest

from serving.api.serve_check_options import ServeCheckOptions
from serving.saved_model.servable import Servable
from serving.server import serve_check as checked
from serving.server.serve_check import serve_check


@pytest.fixture(scope="module")
def version(model_base):
    return model_base / "1"


def test_a_good_export_answers_as_the_model(version):
    found = serve_check(version)
    assert found.reasons == ()
    assert 0 < found.latency_ms <= found.slowest_ms < 2000
    assert found.memory_mb >= 0


def test_limits_are_reasons(version):
    limits = ServeCheckOptions(max_latency_ms=1e-3, max_memory_mb=1e-9)
    slow, large = serve_check(version, limits).reasons[:2]
    assert "ms (--max-latency-ms 0.001)" in slow
    assert "MB (--max-memory-mb 1e-09)" in large


def test_other_answers_are_a_reason(version, monkeypatch):
    class Other(Servable):
        def run(self, name, inputs):
            outputs = super().run(name, inputs)
            return outputs | {"scores": outputs["scores"] * 0.9}

    monkeypatch.setattr(checked, "Servable", Other)
    reasons = serve_check(version).reasons
    assert any("grpc: scores differ from the model's by" in r for r in reasons)
    assert any("rest: scores differ from the model's by" in r for r in reasons)


def test_a_damaged_export_is_not_served(version, tmp_path):
    damaged = tmp_path / "model"
    shutil.copytree(version, damaged)
    (damaged / "saved_model.pb").write_bytes(b"nothing")
    assert serve_check(damaged).reasons
