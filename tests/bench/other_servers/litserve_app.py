"""LitServe with its batching: python litserve_app.py PORT."""

from __future__ import annotations

import base64
import sys

import litserve
from model_call import ModelCall


class Tags(litserve.LitAPI):
    """Answers image files, base64 in JSON, with their tags."""

    def setup(self, device):
        self.model = ModelCall()

    def decode_request(self, request):
        return base64.b64decode(request["image"])

    def batch(self, inputs):
        return inputs

    def predict(self, images):
        return self.model.tags(images)

    def unbatch(self, output):
        return output

    def encode_response(self, output):
        return output


if __name__ == "__main__":
    api = Tags(max_batch_size=32, batch_timeout=0.001)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
        generate_client_file=False,
    )
