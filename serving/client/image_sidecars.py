"""What `tagforest tag --xmp` writes beside an image."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

from beam_jobs.images.image_names import is_url
from beam_jobs.rejections import Reason
from serving.api.prediction import Prediction, Tag, TaggedImage
from serving.client.client_options import TagRun
from serving.client.tag_client import TagClient
from serving.sidecars.words import words
from serving.sidecars.write import write_sidecar
from serving.sidecars.xmp import SidecarError


class Sidecars:
    """Writes the tags that are shown of images.

    Args:
        run: says which tags, and how sidecars are named.
        client: is asked for classes that are no tags, but above some.
    """

    def __init__(self, run: TagRun, client: TagClient):
        self._run = run
        self._find_class = functools.cache(client.find_class)

    def write(self, shown: TaggedImage, found: TaggedImage) -> TaggedImage:
        """Writes an image's sidecar; one that has no tags is left out.

        Args:
            found: with all that the server said.

        Returns:
            What is shown; not valid, with an error, where the sidecar was
            left as it is.

        Raises:
            ServerError: the server did not answer.
        """
        answer = shown.prediction
        if not (isinstance(answer, Prediction) and answer.valid):
            return shown
        try:
            self._write(shown.name, answer, found)
        except SidecarError as error:
            text = f"{Reason.BAD_SIDECAR.value}: {error}"
            nothing = replace(answer, valid=False, tags=())
            return replace(shown, prediction=nothing, error=text)
        return shown

    def _write(self, name: str, answer: Prediction, found: TaggedImage) -> None:
        if is_url(name):
            raise SidecarError("an address has no file beside it")
        said = {t.wnid: t for t in getattr(found.prediction, "tags", ())}

        def look_up(class_id: str) -> Tag | None:
            return said.get(class_id) or self._find_class(class_id)

        # Where nothing was chosen, the best come, whatever they score.
        sure = self._run.options is None
        tags = [t for t in answer.tags if t.is_tag or not sure]
        versions = answer.model_version, answer.vocabulary_version
        told = words(tags, look_up)
        write_sidecar(Path(name), told, versions, self._run.sidecars)
