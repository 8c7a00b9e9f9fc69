"""Which leaf an image shows: a softmax over the leaves, beside the sigmoids.

Labels that are closed under ancestors teach broad classes many times as often
as narrow ones. With S the leaves that are not unknown for an image, Y the
positives among them, z logits:

    L = 1/B sum_i 1/|Y_i| sum_(j in Y_i) -log softmax_S(z_i)_j

and 0 for images without a positive leaf: cross-entropy with targets that add
up to 1, as of several labels an image in Mahajan et al. 2018
(https://arxiv.org/abs/1805.00932, section 2.2).
"""

from __future__ import annotations

from keras import ops

# Far below any logit, and finite: 0 * infinity is no number.
_NEVER = -1e9


def leaf_cross_entropy(targets, logits, is_leaf):
    """Returns the loss of each image, float [batch].

    Args:
        targets: [batch, classes]: 1 positive, 0 negative, -1 unknown.
        logits: float [batch, classes].
        is_leaf: bool [classes].

    Example:
        >>> loss = leaf_cross_entropy(
        ...     [[1, 1, 0]], [[5.0, 0.0, 0.0]], [False, True, True]
        ... )
        >>> round(float(loss[0]), 4)
        0.6931
    """
    targets, logits = map(ops.convert_to_tensor, (targets, logits))
    known = ops.logical_and(targets >= 0, is_leaf)
    wanted = ops.cast(ops.logical_and(targets > 0, is_leaf), logits.dtype)
    scores = ops.log_softmax(ops.where(known, logits, _NEVER), axis=-1)
    found = ops.sum(wanted, axis=-1)
    return -ops.sum(wanted * scores, axis=-1) / ops.maximum(found, 1.0)
