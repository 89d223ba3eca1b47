"""Operators whose results have as many elements as data decide."""

import numpy as np

from operator_cases.case import BOOLS, INTS, MATRIX, RNG, X, case, raw, tf

CORNERS = RNG.random((30, 2)).astype(np.float32)
BOXES = np.concatenate([CORNERS, CORNERS + RNG.random((30, 2)).astype(np.float32) / 3], axis=1)
SCORES = RNG.random(30).astype(np.float32)
ITEMS = np.stack([BOXES, BOXES[::-1], np.roll(BOXES, 7, 0)])
CLASSES = RNG.random((3, 30, 4)).astype(np.float32)
REPEATED = RNG.integers(-3, 3, 20)

case("Where", lambda x: tf.where(x > 0), X)
case("Where-numbers", lambda x: raw.Where(condition=x), INTS)
case("Where-vector", lambda x: tf.where(x[0])[:, 0], BOOLS)
case("Where-none", lambda x: tf.gather_nd(x, tf.where(x > 1e9)), X)
case("Where-mask", lambda x: tf.boolean_mask(x, x[:, 0] > 0) * 2.0, MATRIX)
case("Where-masks", lambda x: tf.boolean_mask(x, x[:, 0] > 0) + tf.boolean_mask(x[:, ::-1], x[:, 0] > 0), MATRIX)
case("Where-of-chosen", lambda x: tf.boolean_mask(tf.boolean_mask(x, x > 0), tf.boolean_mask(x, x > 0) < 2), X)
case("Where-shape", lambda x: tf.reshape(tf.boolean_mask(x, x[:, 0] > 0), [tf.shape(tf.boolean_mask(
    x, x[:, 0] > 0))[0], 2, -1]), MATRIX)
case("Where-matmul", lambda x: tf.tanh(tf.boolean_mask(x, x[:, 0] > 0) @ MATRIX.T), MATRIX)
for name, op in (("Unique", raw.Unique), ("UniqueWithCounts", raw.UniqueWithCounts)):
    case(name, lambda x, op=op: list(op(x=x, out_idx=tf.int64)), REPEATED)
    case(f"{name}-floats", lambda x, op=op: list(op(x=tf.round(x[:, 0] / 3))), MATRIX)
case("UniqueV2", lambda x: list(raw.UniqueV2(x=x, axis=[])), REPEATED)
case("UniqueV2-rows", lambda x: list(raw.UniqueV2(x=x % 2, axis=[0])), INTS)
case("UniqueV2-columns", lambda x: list(raw.UniqueV2(x=x % 2, axis=[1])), INTS, free=False)
case("UniqueWithCountsV2", lambda x: list(raw.UniqueWithCountsV2(x=x % 2, axis=[0])), INTS)
case("ListDiff", lambda x, y: list(raw.ListDiff(x=x, y=y)), REPEATED, REPEATED[:5], free=False)
case("DynamicPartition", lambda x: tf.dynamic_partition(x, tf.cast(x[:, 0] > 0, tf.int32), 3), MATRIX)
case("DynamicPartition-deep", lambda x: tf.dynamic_partition(x, tf.cast(x[:, :, 0] > 0, tf.int32), 2), X)
case("DynamicStitch", lambda x: tf.dynamic_stitch([[4, 1], [0, 2, 3]], [x[:2], x[:3]]), MATRIX,
     free=False)
case("DynamicStitch-back", lambda x: tf.dynamic_stitch(
    tf.dynamic_partition(tf.range(tf.shape(x)[0]), tf.cast(x[:, 0] > 0, tf.int32), 2),
    tf.dynamic_partition(x, tf.cast(x[:, 0] > 0, tf.int32), 2)), MATRIX)
case("ParallelDynamicStitch", lambda x: raw.ParallelDynamicStitch(indices=[[2, 1], [0, 3]], data=[x[:2], x[1:3]]),
     MATRIX, free=False)
case("NonMaxSuppression", lambda b, s: raw.NonMaxSuppression(boxes=b, scores=s, max_output_size=9, iou_threshold=0.2),
     BOXES, SCORES)
case("NonMaxSuppressionV2", lambda b, s: tf.gather(b, raw.NonMaxSuppressionV2(
    boxes=b, scores=s, max_output_size=9, iou_threshold=0.3)), BOXES, SCORES)
case("NonMaxSuppressionV3", lambda b, s: tf.image.non_max_suppression(b, s, 30, 0.1, 0.4), BOXES, SCORES)
case("NonMaxSuppressionV3-limit", lambda b, s, n: tf.image.non_max_suppression(b, s, n, 0.4), BOXES, SCORES,
     np.int32(3))
case("NonMaxSuppressionV4", lambda b, s: list(raw.NonMaxSuppressionV4(
    boxes=b, scores=s, max_output_size=12, iou_threshold=0.2, score_threshold=0.3)), BOXES, SCORES)
case("NonMaxSuppressionV4-padded", lambda b, s: list(raw.NonMaxSuppressionV4(
    boxes=b, scores=s, max_output_size=40, iou_threshold=0.2, score_threshold=0.3, pad_to_max_output_size=True)),
    BOXES, SCORES)
case("NonMaxSuppressionV5", lambda b, s: list(raw.NonMaxSuppressionV5(
    boxes=b, scores=s, max_output_size=12, iou_threshold=0.2, score_threshold=0.3, soft_nms_sigma=0.0)), BOXES, SCORES)
for name, options in {"": {}, "-per-class": {"pad_per_class": True}, "-unclipped": {"clip_boxes": False}}.items():
    case(f"CombinedNonMaxSuppression{name}", lambda b, s, o=options: list(tf.image.combined_non_max_suppression(
        b[:, :, None], s, 6, 20, 0.2, 0.5, **o)), ITEMS, CLASSES)
case("CombinedNonMaxSuppression-classes", lambda b, s: list(tf.image.combined_non_max_suppression(
    tf.stack([b, b[:, ::-1], b * 0.9, b + 0.1], 2), s, 6, 50, 0.3, 0.4)), ITEMS, CLASSES)
case("Range-measured", lambda n, x: [tf.range(n), tf.range(n, 0, -2), tf.range(tf.reduce_max(x), 4.0, 0.3)],
     np.int32(7), MATRIX[:, :1] / 9)
case("StridedSlice-measured", lambda x, n: [x[:n], x[n:], x[-n:, 1:], x[1:n, ::2], x[n:0:-1]], X, np.int32(2))
case("Slice-measured", lambda x, n: [tf.slice(x, [n, 0, 1], [-1, n, 2]), tf.slice(x, [0, n, 0], [-1, -1, n])], X,
     np.int32(1))
case("Fill-measured", lambda n: tf.fill([n, 3], 2.5), np.int32(4))
case("Tile-measured", lambda x, n: tf.tile(x, [1, n]), MATRIX, np.int32(3))
case("BroadcastTo-measured", lambda x, n: tf.broadcast_to(x[:, :1], tf.stack([tf.shape(x)[0], n])), MATRIX, np.int32(3))
case("OneHot-measured", lambda x, n: tf.one_hot(x, n), INTS, np.int32(5))
case("TopKV2-measured", lambda x, n: list(tf.math.top_k(x, n)), MATRIX, np.int32(4))
case("ScatterNd-measured", lambda x, n: tf.scatter_nd([[1], [0]], x[:2], tf.stack([n, 6])),
     MATRIX, np.int32(4), free=False)
case("UnsortedSegmentSum-measured", lambda x, n: tf.math.unsorted_segment_sum(x, tf.range(tf.shape(x)[0]) % 2, n),
     MATRIX, np.int32(4))
case("Where-sequence-mask", lambda n: tf.cast(tf.sequence_mask(n), tf.float32), np.array([2, 0, 5], np.int32))
case("Where-repeat", lambda x, n: tf.repeat(x, n, axis=0), MATRIX, np.array([2, 0, 3], np.int32), free=False)
