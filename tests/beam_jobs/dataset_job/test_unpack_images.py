from beam_jobs.dataset_job.unpack_images import unpack_images
from beam_jobs.images.image_ref import ImageReader, ImageRef
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources.reader import AnnotatedImage, PackedImage

IMAGE = AnnotatedImage("parquet/a/0", Source.PARQUET)
REJECTION = Rejection(Reason.MALFORMED_RECORD, "a:1", "no image")


def test_packed_images_lie_in_the_file(tmp_path):
    path = str(tmp_path / "unpacked" / "0.bin")
    items = [
        PackedImage(IMAGE, b"one"),
        REJECTION,
        IMAGE,
        PackedImage(IMAGE, b"three"),
    ]
    first, *others, last = unpack_images(items, path)
    assert others == [REJECTION, IMAGE]
    assert (first.ref, last.ref) == (ImageRef(path, 0, 3), ImageRef(path, 3, 5))
    reader = ImageReader()
    assert [reader.read(i.ref) for i in (first, last)] == [b"one", b"three"]


def test_without_packed_images_there_is_no_file(tmp_path):
    path = tmp_path / "unpacked" / "0.bin"
    assert list(unpack_images([IMAGE], str(path))) == [IMAGE]
    assert [*path.parent.iterdir()] == []
