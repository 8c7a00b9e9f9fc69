"""What client and server agree on. Imports nothing, so clients stay light."""

MODEL_NAME = "tagforest"
GRPC_PORT = 8500
REST_PORT = 8501
PAGE_PORT = 8502

# Signatures of the SavedModel.
TAGS = "serving_default"
SELECT = "select"
SCORES = "scores"
TF_EXAMPLE = "tf_example"
EMBEDDING = "embedding"
CLASSIFY = "classify"
DETECT = "detect"
SEGMENT = "segment"

# Inputs: string [N].
IMAGE_BYTES = "image_bytes"
EXAMPLES = "examples"
CLASSIFY_INPUTS = "inputs"  # the name that TensorFlow Serving's Classify needs

# Inputs of SELECT beside the images, [N] each; all must be sent.
MAX_LABELS = "max_labels"  # int32
MIN_CONFIDENCE = "min_confidence"  # float32; below 0: the class's threshold
MOST_SPECIFIC = "most_specific"  # bool: no class above another tag
INCLUDE = "include"  # string: class ids, blanks or commas between them
EXCLUDE = "exclude"  # string

# In the assets of our exports: the signatures whose rows do not depend on each
# other, so that rows of several requests may share a call.
ROW_WISE = "row_wise_signatures.json"

# Outputs, all with one row an image.
NAMES = "names"  # string [N, K]
CLASSES = "classes"  # string [N, K]: the same, as Classify wants it
WNIDS = "wnids"  # string [N, K]
PARENTS = "parents"  # string [N, K]: class ids, commas between them
SCORE_VALUES = "scores"  # float32 [N, K], or [N, classes]: calibrated
RAW_SCORES = "raw_scores"  # float32 [N, classes]: the sigmoids
LEAF = "leaf"  # bool [N, K]: the class has no subclasses
IS_TAG = "is_tag"  # bool [N, K]: its score reaches its threshold
EMBEDDING_VALUES = "embedding"  # float32 [N, D]
BOXES = "boxes"  # float32 [N, K, 4]: ymin, xmin, ymax, xmax, pixels as sent
MASK = "mask_bytes"  # string [N]: PNG; REST writes b64 for a name like that
SHARES = "shares"  # float32 [N, classes + 1]: parts of the pixels
VALID = "valid"  # bool [N]
MODEL_VERSION = "model_version"  # string [N]: fingerprint of the weights
VOCABULARY_VERSION = "vocabulary_version"  # string [N]

# An image over either limit is answered with valid = false.
MAX_IMAGE_BYTES = 20 * 1024**2
MAX_IMAGE_PIXELS = 100_000_000

# Batches that are warmed up, and that TensorFlow Serving fills up to.
BATCH_SIZES = (1, 2, 4, 8, 16, 32)

# Ids that are read of a list of classes.
MAX_LIST_IDS = 64

# What id 0 of a mask is.
BACKGROUND = "background"

# A request over either limit is refused.
MAX_REQUEST_BYTES = 64 * 1024**2
MAX_REQUEST_IMAGES = 256
