"""What client and server agree on. Imports nothing, so clients stay light."""

MODEL_NAME = "tagforest"
GRPC_PORT = 8500
REST_PORT = 8501

# Signatures of the SavedModel.
TAGS = "serving_default"
SCORES = "scores"
TF_EXAMPLE = "tf_example"
EMBEDDING = "embedding"

# Inputs: string [N].
IMAGE_BYTES = "image_bytes"
EXAMPLES = "examples"

# Outputs, all with one row an image.
NAMES = "names"  # string [N, K]
WNIDS = "wnids"  # string [N, K]
SCORE_VALUES = "scores"  # float32 [N, K], or [N, classes]
LEAF = "leaf"  # bool [N, K]: the class has no subclasses
EMBEDDING_VALUES = "embedding"  # float32 [N, D]
VALID = "valid"  # bool [N]

# An image over either limit is answered with valid = false.
MAX_IMAGE_BYTES = 20 * 1024**2
MAX_IMAGE_PIXELS = 100_000_000

# A request over either limit is refused.
MAX_REQUEST_BYTES = 64 * 1024**2
MAX_REQUEST_IMAGES = 256
