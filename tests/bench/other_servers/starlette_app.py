"""A plain app, as one writes it in an hour: python starlette_app.py PORT."""

from __future__ import annotations

import sys

import anyio.to_thread
import uvicorn
from model_call import ModelCall
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

model = ModelCall()


async def predict(request):
    """Answers one image file with its tags."""
    image = await request.body()
    (tags,) = await anyio.to_thread.run_sync(model.tags, [image])
    return JSONResponse(tags)


app = Starlette(routes=[Route("/predict", predict, methods=["POST"])])

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
