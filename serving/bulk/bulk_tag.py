"""Bulk tagging: the export over millions of images, in a Beam job.

    tagforest bulk models/tagforest photos --out tagged

Options that this job does not know go to Beam.
"""

from __future__ import annotations

from collections.abc import Sequence

from beam_jobs import rejections
from beam_jobs.dataset import dataset_folder, read_records
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_output_folder
from beam_jobs.files.storage import request_digest
from beam_jobs.runners import progress
from beam_jobs.runners.beam_options import check_beam_args, check_reachable
from serving.api import contract
from serving.bulk import model_files, model_folders, pipeline
from serving.bulk.inputs import IMAGES, RECORDS, Found, find_parts
from serving.bulk.manifest import Facts, Manifest
from serving.bulk.options import BulkOptions
from serving.bulk.tag_shard import TAGS, Job


def tag_in_bulk(
    options: BulkOptions,
    beam_args: Sequence[str] = (),
    *,
    show_progress: bool = True,
) -> Manifest:
    """Tags all images; returns the manifest, or the one already there.

    What an interrupted job of the same request has finished is kept.

    Args:
        beam_args: Beam's own options, as on its command line.
        show_progress: a bar, when the job runs in this process.

    Raises:
        InputError: wrong options, model or sources, or other answers in the
            way; always before the job starts.
    """
    check_output_folder(options.out)
    check_beam_args(beam_args)
    named = [options.out, options.model, *options.sources]
    check_reachable(beam_args, named)
    storage.use_options(beam_args)
    version = model_folders.find_version(options.model)
    folder = model_folders.local_version(version)
    model_files.check_signature(
        folder, contract.SELECT if options.select else contract.TAGS
    )
    found = find_parts(options.sources, options.images_per_file)
    _check_records(found)
    if options.sidecars.xmp:
        _check_places(found)
    facts = _facts(options, found, version, model_files.fingerprint(folder))
    if _is_there(options, facts.request):
        return Manifest.load(options.out)
    work = _prepare(options.out, facts.request)
    with progress.bar("tag", "images", show_progress):
        pipeline.run(found.parts, Job(options, version, work), facts, beam_args)
    # Only now: before there is a manifest, a next job goes on from it.
    storage.remove_tree(storage.join(options.out, dataset_folder.WORK))
    return Manifest.load(options.out)


def _check_records(found: Found) -> None:
    for part in found.parts:
        if part.reader == RECORDS:
            read_records.check_has_images(part.path)
            return


def _check_places(found: Found) -> None:
    for part in found.parts:
        if part.reader != IMAGES or storage.is_remote(part.path):
            raise InputError(
                "--xmp writes beside image files of this machine, not into "
                f"archives, records or object stores; received: {part.path}"
            )


def _facts(
    options: BulkOptions, found: Found, version: str, fingerprint: str
) -> Facts:
    described = options.described()
    digest = request_digest(found.listing, {**described, "model": fingerprint})
    return Facts(
        request=digest,
        options=described,
        model={"folder": version, "fingerprint": fingerprint},
        left_out=found.left_out,
        parts=len(found.parts),
        images=sum(len(p.files) for p in found.parts if p.reader == IMAGES),
    )


def _is_there(options: BulkOptions, request: str) -> bool:
    """Tells whether the answers are there; refuses others in their place."""
    out = options.out
    if not storage.exists(storage.join(out, dataset_folder.MANIFEST)):
        return False
    present = Manifest.load(out)
    if present.request == request:
        return True
    if not options.overwrite:
        raise InputError(
            f"{out} holds answers to other images, or of another model or "
            "options; name another folder with --out, or give --overwrite"
        )
    return False


def _prepare(out: str, request: str) -> str:
    """Clears what earlier jobs left, but for one of the same request.

    Returns:
        The folder for what the stages hand on.
    """
    work = storage.join(out, dataset_folder.WORK)
    state = storage.join(work, "request")
    mine = storage.exists(storage.join(out, dataset_folder.MANIFEST))
    started = storage.exists(state)
    if not (mine or started) and _has_files(storage.join(out, TAGS)):
        raise InputError(
            f"{storage.join(out, TAGS)} holds files that are not of "
            "`tagforest bulk`; name another folder with --out"
        )
    if not started or mine or storage.read_text(state) != request:
        # First: with a manifest, the folder counts as complete.
        storage.remove(storage.join(out, dataset_folder.MANIFEST))
        for name in (TAGS, rejections.DEAD_LETTERS, dataset_folder.WORK):
            storage.remove_tree(storage.join(out, name))
        storage.write_text(state, request)
    return work


def _has_files(folder: str) -> bool:
    pattern = storage.join(storage.escape(folder), "**")
    return bool(storage.list_files(pattern))
