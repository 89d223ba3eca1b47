"""keras.ops recorded in Functional models against Keras."""

from functools import partial

import keras
import numpy as np
from keras import ops as K
from layer_cases import AgainstKeras, case

from castiron.frontends.keras.layers import OPERATIONS
from castiron.frontends.keras.layers.operations.refused import REFUSED

SPECIAL = [0.0, -0.0, 1.0, -1.5, 0.5, np.inf, -np.inf, np.nan, 2.5, -7.25, 100.0]


def special(rng, shape):
    return np.resize(SPECIAL, shape)


def positive(rng, shape):
    return rng.uniform(0.1, 3, shape)


def inside(rng, shape):
    return rng.uniform(-0.95, 0.95, shape)


def whole(rng, shape):
    return rng.integers(1, 6, shape)


def flipped(function, x, y):
    return function(x, K.flip(y, axis=1))


def with_numbers(function, x):
    return [function(x, 2.5), function(2, x)]


UNARY = """absolute negative square sqrt exp exp2 expm1 log log10 log1p log2 sin cos tan sinh cosh tanh arcsin arccos
    arctan arcsinh arccosh arctanh sigmoid relu relu6 softplus softsign silu log_sigmoid hard_sigmoid hard_silu selu
    elu gelu celu leaky_relu hard_tanh tanh_shrink hard_shrink soft_shrink squareplus sparse_plus sparse_sigmoid
    floor ceil round trunc sign reciprocal rsqrt erf erfc cbrt deg2rad rad2deg isnan isfinite isinf isposinf isneginf
    isreal signbit logical_not nan_to_num fabs conj real imag angle copy""".split()
BINARY = """add subtract multiply divide true_divide power maximum minimum mod floor_divide arctan2 hypot logaddexp
    logaddexp2 equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor divide_no_nan
    heaviside fmax fmin fmod isclose""".split()
#: Where infinities and NaN give one thing in TensorFlow's eager kernels and another elsewhere.
NUMBERS_ONLY = {"round", "power", "mod", "floor_divide", "fmod", "selu", "gelu", "angle", "log_sigmoid", "hard_silu",
                "cbrt", "heaviside", "silu", "hard_shrink", "soft_shrink", "tanh_shrink", "sparse_plus", "squareplus",
                "exp2", "tan", "sin", "cos", "isclose", "logaddexp2", "erfc"}
DOMAIN = {"arcsin": inside, "arccos": inside, "arctanh": inside, "arccosh": lambda rng, s: rng.uniform(1, 4, s)}
INTEGERS = """absolute negative square sqrt exp log relu sign floor ceil round isnan tanh logical_not trunc""".split()

ELEMENTWISE = {
    **{name: case(getattr(K, name), (5,), values=DOMAIN.get(name)) for name in UNARY},
    **{f"{name}-special": case(getattr(K, name), (11,), values=special)
       for name in UNARY if name not in NUMBERS_ONLY},
    **{f"{name}-int": case(getattr(K, name), (5,), dtypes=("int32",)) for name in INTEGERS},
    **{name: case(getattr(K, name), (4,), (4,), values=positive) for name in BINARY},
    **{f"{name}-special": case(partial(flipped, getattr(K, name)), (11,), (11,), values=special)
       for name in BINARY if name not in NUMBERS_ONLY},
    **{f"{name}-int": case(getattr(K, name), (4,), (4,), dtypes=("int32",), values=whole)
       for name in BINARY if name not in ("power", "isclose", "heaviside")},
    **{f"{name}-number": case(partial(with_numbers, getattr(K, name)), (4,), values=positive)
       for name in BINARY if name not in ("isclose", "hypot", "heaviside")},
    **{f"add-{a}-{b}": case(K.add, (4,), (4,), dtypes=(a, b)) for a, b in (
        ("int32", "float32"), ("bool", "int32"), ("uint8", "int32"), ("int64", "int32"),
        ("bool", "float32"), ("uint8", "float32"))},
    "add-int-number": case(lambda x: [x + 1, x + 1.5, x * True, 2 - x, x / 2, x // 2, x % 3, x ** 2], (4,),
                           dtypes=("int32",)),
    "operators": case(lambda x, y: [-x, abs(x), x @ K.transpose(y), x > y, x ** 2, 1 / x, x // y, x % y],
                      (3,), (3,), batch=2),
    "array": case(lambda x: x * np.arange(4, dtype="float32") + K.ones((1, 4)), (4,)),
    "array-int": case(lambda x: x + np.arange(4), (4,), dtypes=("int32",)),
    "where": case(lambda x, y: [K.where(x > 0, x, y), K.where(x > y, 1.0, 0.0), K.where(x > 0, x, 0)], (4,), (4,)),
    "select": case(lambda x, y: K.select([x > 1, x > 0], [x, y], default=-1.0), (4,), (4,)),
    "clip": case(lambda x: [K.clip(x, -1, 1), K.clip(x, 0.5, 3.5)], (9,)),
    "clip-int": case(lambda x: K.clip(x, 2, 5), (9,), dtypes=("int32",)),
    "cast": case(lambda x: [K.cast(x, t) for t in ("int32", "bool", "int64", "uint8")], (4,),
                 values=lambda rng, s: rng.integers(0, 9, s)),
    "saturate-cast": case(lambda x: [K.saturate_cast(x * 100, "uint8"), K.saturate_cast(x, "int32")], (9,)),
    "round-decimals": case(lambda x: K.round(x, 2), (4,)),
    "leaky-relu": case(lambda x: [K.leaky_relu(x, 0.3), K.elu(x, 0.5), K.celu(x, 2.0), K.gelu(x, False),
                                  K.hard_shrink(x, 1.0), K.soft_shrink(x, 1.0), K.threshold(x, 0.5, 7.0),
                                  K.squareplus(x, 2)], (9,)),
    "glu": case(lambda x: [K.glu(x), K.glu(x, 1)], (2, 6)),
    "convert": case(lambda x: [K.convert_to_tensor(x), K.stop_gradient(x)], (4,)),
    "isclose-options": case(lambda x: K.isclose(x, x + 1e-4, rtol=1e-3, equal_nan=True), (4,)),
    "isin": case(lambda x: [K.isin(x, np.array([1, 3, 5])), K.isin(x, np.array([2]), invert=True)], (9,),
                 dtypes=("int32",)),
    "bitwise": case(lambda x, y: [K.bitwise_and(x, y), K.bitwise_or(x, y), K.bitwise_xor(x, y), K.bitwise_not(x),
                                  K.left_shift(x, y), K.right_shift(x, y)], (9,), (9,), dtypes=("int32",)),
    "sinc": case(lambda x: [K.sinc(x), K.ldexp(x, K.cast(x, "int32"))], (9,)),
    "i0": case(K.i0, (9,)), "erfinv": case(K.erfinv, (9,), values=inside),
}

REDUCTIONS = {
    **{f"{name}-{i}": case(partial(getattr(K, name), **options), (4, 5), values=positive)
       for name in "sum prod max min mean var std any all logsumexp ptp median nansum nanmax nanmean amax amin".split()
       for i, options in enumerate((
           {}, {"axis": 1}, {"axis": [-1, 0], "keepdims": True}, {"axis": -1, "keepdims": True}))
       if name != "median" or i % 2},
    "median": case(lambda x: [K.median(x), K.median(x, axis=[0, 2], keepdims=True)], (4, 5), batch=3),
    **{f"{name}-int": case(partial(getattr(K, name), axis=1), (5,), dtypes=("int32",))
       for name in "sum prod max min mean var std any all median".split()},
    "sum-small": case(lambda x: [K.sum(x, axis=1), K.mean(x, axis=1), K.prod(x, axis=1), K.max(x, axis=1)], (5,),
                      dtypes=("uint8",)),
    "sum-bool": case(lambda x: [K.sum(x, axis=1), K.mean(x, axis=1), K.any(x, axis=1), K.all(x, axis=1)], (5,),
                     dtypes=("bool",)),
    "max-initial": case(lambda x: K.max(x, axis=1, initial=0.5), (5,)),
    "argmax": case(lambda x: [K.argmax(x), K.argmax(x, axis=1), K.argmin(x, axis=-1, keepdims=True)], (4, 5)),
    "argmax-ties": case(lambda x: [K.argmax(x, axis=1), K.argmin(x, axis=1)], (9,), dtypes=("int32",)),
    "argmax-free": case(lambda x: K.argmax(x, axis=1), (None, 3)),
    "count": case(lambda x: [K.count_nonzero(x), K.count_nonzero(x, axis=1)], (9,), dtypes=("int32",)),
    "average": case(lambda x, w: [K.average(x, axis=1), K.average(x, axis=1, weights=K.abs(w)), K.average(x)],
                    (5,), (5,)),
    "quantile": case(lambda x: [K.quantile(x, 0.3), K.quantile(x, [0.25, 0.5], axis=1),
                                K.quantile(x, 0.9, axis=-1, method="nearest", keepdims=True),
                                K.percentile(x, 40, axis=1, method="lower")], (4, 7), batch=3),
    "cumsum": case(lambda x: [K.cumsum(x, axis=1), K.cumprod(x, axis=-1), K.cumsum(x, axis=0)], (3, 5)),
    "diff": case(lambda x: [K.diff(x), K.diff(x, n=2, axis=1)], (4, 5)),
    "trapezoid": case(lambda x: [K.trapezoid(x), K.trapezoid(x, dx=0.5, axis=1)], (4, 5)),
    "norm": case(lambda x: [K.norm(x, axis=-1), K.norm(x, ord=1, axis=1), K.norm(x, ord=np.inf, axis=-1),
                            K.norm(x, ord=3, axis=1, keepdims=True), K.norm(x, ord="fro", axis=(1, 2)),
                            K.norm(x, ord=1, axis=(1, 2))], (4, 5)),
    "normalize": case(lambda x: [K.normalize(x), K.normalize(x, axis=1, order=1), K.normalize(x, order=3)], (4, 5)),
    "moments": case(lambda x: K.moments(x, axes=[0, 1]), (4, 5)),
    "nan": case(lambda x: [K.nansum(x, axis=1), K.nanmax(x, axis=1), K.nanmin(x, axis=1), K.nanprod(x, axis=1),
                           K.nanmean(x, axis=1), K.nanvar(x, axis=1), K.nanstd(x, axis=1), K.nanargmax(x, axis=1),
                           K.nanargmin(x, axis=1), K.nancumsum(x, axis=1), K.nancumprod(x, axis=1)], (5,),
                values=lambda rng, s: np.resize([1.0, np.nan, 2.0, -3.0, np.nan, 0.5, 4.0], s)),
    "special": case(lambda x: [K.sum(x, axis=1), K.max(x, axis=1), K.min(x, axis=1), K.mean(x, axis=1)], (4,),
                    values=special),
    "corrcoef": case(K.corrcoef, (9,), batch=3),
    "segments": case(lambda x: [f(x[:, 0], K.cast(x[:, 1], "int32"), num_segments=4) for f in
                                (K.segment_sum, K.segment_max, K.segment_min, K.segment_prod)], (2,), batch=9,
                     values=lambda rng, s: rng.integers(0, 4, s)),
    "losses": case(lambda x, y: [K.binary_crossentropy(x, y), K.binary_crossentropy(x, y, from_logits=True),
                                 K.categorical_crossentropy(x, y), K.categorical_crossentropy(x, y, from_logits=True),
                                 K.psnr(x, y, 1.0)], (4,), (4,), values=lambda rng, s: rng.uniform(0.05, 0.95, s)),
    "sparse-loss": case(lambda x, y: [K.sparse_categorical_crossentropy(x, K.softmax(y)),
                                      K.sparse_categorical_crossentropy(x, y, from_logits=True)], (), (9,),
                        dtypes=("int32", "float32")),
}

SHAPES = {
    "reshape": case(lambda x: [K.reshape(x, (-1, 8)), K.reshape(x, (-1,)), K.ravel(x)], (4, 6)),
    "reshape-free": case(lambda x: K.reshape(x, (-1, 3, 2)), (None, 6)),
    "transpose": case(lambda x: [K.transpose(x), K.transpose(x, (1, 2, 0)), K.swapaxes(x, 0, -1),
                                 K.moveaxis(x, 0, -1), K.moveaxis(x, (0, 1), (-1, -2))], (4, 6)),
    "expand": case(lambda x: [K.expand_dims(x, 1), K.expand_dims(x, (0, -1)), K.squeeze(K.expand_dims(x, 1)),
                              K.squeeze(K.expand_dims(x, 1), 1)], (4, 6), batches=(3,)),
    "concatenate": case(lambda x, y: [K.concatenate([x, y]), K.concatenate([x, y], axis=-1), K.stack([x, y], axis=1),
                                      K.append(x, y, axis=1), K.append(x, y), K.hstack([x, y]), K.vstack([x, y]),
                                      K.dstack([x, y])], (4, 6), (4, 6)),
    "concatenate-types": case(lambda x, y: K.concatenate([x, y], axis=1), (4,), (4,), dtypes=("int32", "float32")),
    "split": case(lambda x: [*K.split(x, 3, axis=-1), *K.split(x, [1, 3], axis=1), *K.unstack(x, axis=1),
                             *K.array_split(x, 4, axis=2), *K.hsplit(x, 2), *K.dsplit(x, 2)], (4, 6)),
    "tile": case(lambda x: [K.tile(x, (1, 2, 3)), K.tile(x, 2), K.repeat(x, 3, axis=1), K.repeat(x, 2),
                            K.repeat(x, [1, 2, 0, 1], axis=1)], (4, 3)),
    "flip": case(lambda x: [K.flip(x), K.flip(x, 1), K.flip(x, (0, 2)), K.fliplr(x), K.flipud(x), K.roll(x, 2, axis=1),
                            K.roll(x, -1, axis=-1), K.rot90(x, axes=(1, 2)), K.rot90(x, 3, axes=(1, 2)),
                            K.rot90(x, 2, axes=(2, 1))], (4, 4)),
    "roll-flat": case(lambda x: K.roll(x, 2), (4,), batch=3),
    "broadcast": case(lambda x: K.broadcast_to(x, (3, 5, 4)), (1, 4), batch=3),
    "pad": case(lambda x: [K.pad(x, ((0, 0), (1, 2), (0, 1))),
                           K.pad(x, [[0, 0], [2, 1], [1, 1]], "reflect"),
                           K.pad(x, [[0, 0], [2, 1], [1, 1]], "symmetric"),
                           K.pad(x, ((0, 0), (1, 0), (0, 0)), constant_values=3)], (4, 5)),
    "meshgrid": case(lambda x, y: [*K.meshgrid(x[0], y[0]), *K.meshgrid(x[0], y[0], indexing="ij")], (3,), (4,)),
    "like": case(lambda x: [K.zeros_like(x), K.ones_like(x, dtype="int32"), K.full_like(x, 3), K.size(x)], (4,)),
    "triangles": case(lambda x: [K.tril(x), K.triu(x, 1), K.tril(x, -1), K.diagonal(x, axis1=1, axis2=2),
                                 K.diagonal(x, 1, 1, 2), K.trace(x, axis1=1, axis2=2), K.diagonal(x, -1, 2, 1)],
                      (4, 5)),
    "diag": case(lambda x: [K.diag(x[0]), K.diag(x[0], 1), K.diag(x[0], -2), K.diag(x), K.diagflat(x)], (4,), batch=3),
    "vander": case(lambda x: [K.vander(x[0]), K.vander(x[0], 3, True)], (4,), batch=2),
    "linspace": case(lambda x, y: [K.linspace(x, y, 5), K.linspace(x, y, 4, endpoint=False, axis=-1)], (3,), (3,)),
    "depth-to-space": case(lambda x: [K.depth_to_space(x, 2), K.space_to_depth(x, 2)], (4, 6, 8)),
    "rearrange": case(lambda x: [K.rearrange(x, "b (h p) c -> b h (p c)", p=2)],
                      (4, 6), batch=3),
    "frames": case(lambda x: K.extract_sequences(x, 4, 3), (11,)),
    "unfold": case(lambda x: [K.unfold(x, 2), K.unfold(x, (2, 3), dilation=2, padding=1, stride=2)], (3, 7, 8)),
}

INDICES = {
    "getitem": case(lambda x: [x[0], x[-1], x[:, 1], x[:, -1], x[..., 0], x[:, 1:3], x[:, ::2], x[:, ::-1], x[:, None],
                               x[:, 3:1:-1], x[..., None, 1:], x[1:, -3:, :-1], x[:, 1, 2], x[:, 4:2]], (4, 5)),
    "getitem-free": case(lambda x: [x[:, 2:], x[:, :-2], x[:, -3:], x[:, -1], x[:, ::2], x[:, 1:20:3], x[:, ::-1],
                                    x[:, -2:0:-2]], (None, 3)),
    "getitem-short": case(lambda x: [x[:, 2:], x[:, :-2], x[:, -3:], x[:, :5], x[:, 1:20:3]], (None, 3), free=(1,)),
    "slice": case(lambda x: [K.slice(x, (0, 1, 2), (1, 2, 2)), K.slice_update(x, (0, 1, 2), K.ones((1, 2, 2)))],
                  (4, 5), batch=2),
    "take": case(lambda x, i: [K.take(x, i, axis=1), K.take(x, np.array([[1, 0], [2, 2]]), axis=-1), K.take(x, i),
                               K.take_along_axis(x, K.expand_dims(i, -1), axis=1)], (4, 5), (2,),
                 dtypes=("float32", "int32"), values=lambda rng, s: rng.integers(0, 4, s)),
    "scatter": case(lambda x: [K.scatter_update(x, np.array([[0, 1], [1, 0]]), np.array([9.0, 8.0], "float32")),
                               K.scatter_update(x, np.array([[0, 1], [0, 1]]), np.array([9.0, 8.0], "float32"), "add"),
                               K.scatter(np.array([[1], [3], [1]]), x[0], (5,))], (3,), batch=2),
    "one-hot": case(lambda x: [K.one_hot(x, 5), K.one_hot(x, 5, axis=1, dtype="int32"), K.one_hot(x, 3),
                               K.multi_hot(x, 9)], (4,), dtypes=("int32",)),
    "sorted": case(lambda x: [K.sort(x), K.sort(x, axis=1), K.argsort(x), K.argsort(x, axis=1), *K.top_k(x, 3)],
                   (4, 5)),
    "searchsorted": case(lambda x: [K.searchsorted(np.array([-1.0, 0.0, 2.0], "float32"), x[0]),
                                    K.searchsorted(np.array([-1.0, 0.0, 2.0], "float32"), x[0], side="right"),
                                    K.digitize(x, np.array([-1.0, 0.0, 2.0]))], (9,)),
    "unravel": case(lambda x: K.unravel_index(x[:, 0], (3, 5)), (4,), dtypes=("int32",)),
    "nonzero": case(lambda x: [*K.nonzero(K.relu(x)), K.take(x, K.nonzero(x[:, 0, 0] > 0)[0], axis=0)], (3, 4)),
    "unique": case(lambda x: [*K.unique(x, return_index=True, return_inverse=True, return_counts=True), K.unique(
        K.transpose(x) // 4, axis=1)], (4,), dtypes=("int32",)),
    "in-top-k": case(lambda t, p: K.in_top_k(K.reshape(t, (-1,)), p, 2), (1,), (9,), dtypes=("int32", "float32")),
}

PRODUCTS = {
    "matmul": case(lambda x, y: [K.matmul(x, K.transpose(y, (0, 2, 1))), x @ np.ones((5, 2), "float32"),
                                 K.matmul(x, np.arange(5.0, dtype="float32")), K.matmul(x[:, 0], y[0, 0])],
                   (4, 5), (4, 5)),
    "dot": case(lambda x, y: [K.dot(x, np.ones((5, 2), "float32")), K.inner(x[0], y[0]), K.outer(x[0], y[0]),
                              K.vdot(x, y), K.tensordot(x, y, axes=[[0, 1], [0, 1]]), K.tensordot(x, y, [[2], [2]]),
                              K.tensordot(x, np.ones((5, 2), "float32"), 1)], (4, 5), (4, 5)),
    "einsum": case(lambda x, y: [K.einsum("abc,adc->abd", x, y), K.einsum("abc->acb", x),
                                 K.einsum("...c,...c->...", x, y), K.einsum("abc,abc->a", x, y),
                                 K.einsum("abc", x), K.einsum("aij,ajk,akl->ail", x, K.transpose(y, (0, 2, 1)), y)],
                   (4, 5), (4, 5)),
    "kron": case(lambda x, y: [K.kron(x[0], y[0]), K.cross(x, y), K.cdist(x, y)], (4, 3), (4, 3)),
    "attention": case(lambda q, k, v: [K.dot_product_attention(q, k, v), K.dot_product_attention(
        q, k, v, is_causal=True, scale=0.5)], (4, 2, 5), (4, 2, 5), (4, 2, 5)),
    "correlate": case(lambda x: [K.correlate(x[0], x[1, :3], mode) for mode in ("valid", "same", "full")], (7,),
                      batch=2),
    "matmul-int": case(lambda x, y: K.matmul(x, K.transpose(y)), (5,), (5,), dtypes=("int32",), batch=3),
}

NEURAL = {
    "softmax": case(lambda x: [K.softmax(x), K.softmax(x, axis=1), K.log_softmax(x),
                               K.sparsemax(x)], (4, 5)),
    "conv": case(lambda x: [K.conv(x, np.ones((3, 2, 3, 4), "float32"), strides=2, padding="same"),
                            K.depthwise_conv(x, np.ones((3, 2, 3, 2), "float32")),
                            K.separable_conv(x, np.ones((3, 2, 3, 2), "float32"), np.ones((1, 1, 6, 2), "float32")),
                            K.max_pool(x, 2), K.average_pool(x, (3, 2), 2, "same"),
                            K.adaptive_average_pool(x, (4, 4)), K.adaptive_max_pool(x, (4, 5))], (7, 8, 3)),
    "norms": case(lambda x: [K.batch_normalization(x, np.ones(5, "float32"), np.full(5, 2.0, "float32"), -1,
                                                   np.arange(5.0, dtype="float32"), np.ones(5, "float32")),
                             K.layer_normalization(x), K.layer_normalization(x, np.arange(5.0, dtype="float32"),
                                                                             np.ones(5, "float32"), axis=-1),
                             K.rms_normalization(x, np.arange(5.0, dtype="float32"))], (4, 5)),
    "images": case(lambda x: [K.image.rgb_to_grayscale(x), K.image.rgb_to_hsv(x), K.image.hsv_to_rgb(x),
                              K.image.extract_patches(x, 3), K.image.extract_patches(x, (2, 3), strides=(1, 2),
                                                                                     padding="same"),
                              K.image.pad_images(x, 1, 2, 3, 4), K.image.crop_images(x, 1, 2, 1, 2),
                              K.image.pad_images(x, 1, 2, target_height=12, target_width=13),
                              K.image.gaussian_blur(x, (3, 5), (1.0, 2.0)), K.image.sobel_edges(x)], (7, 8, 3),
                   values=lambda rng, s: rng.uniform(0, 1, s)),
    **{f"resize-{method}": case(lambda x, m=method: [
        K.image.resize(x, (5, 11), m), K.image.resize(x, (5, 11), m, antialias=True),
        K.image.resize(x, (9, 5), m, crop_to_aspect_ratio=True),
        K.image.resize(x, (9, 5), m, pad_to_aspect_ratio=True, fill_value=2.0)], (7, 8, 3))
       for method in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area")},
    "fft": case(lambda x, y: [*K.fft((x, y)), *K.fft2((x, y)), *K.ifft2((x, y)), *K.rfft(x), *K.rfft(x, 6),
                              K.irfft((x, y)), K.irfft((x, y), 7)], (4, 8), (4, 8), tolerance=3e-5),
    "stft": case(lambda x: [*K.stft(x, 16, 5, 16), *K.stft(x, 12, 4, 16, window="hamming", center=False)], (40,),
                 tolerance=3e-5),
}

FAMILIES = {"elementwise": ELEMENTWISE, "reductions": REDUCTIONS, "shapes": SHAPES, "indices": INDICES,
            "products": PRODUCTS, "neural": NEURAL}


class TestFunctions(AgainstKeras):
    families = FAMILIES


def test_every_function_is_compiled_or_refused_with_a_reason():
    def classes(kind):
        return {kind}.union(*map(classes, kind.__subclasses__()))
    functions = {kind.__name__ for kind in classes(keras.src.ops.operation.Operation)
                 if kind.__module__.startswith("keras.src.ops.") and not kind.__name__.startswith("_")}
    functions -= {"Operation", "Function", "SegmentReduction"}
    assert not functions - set(OPERATIONS) - set(REFUSED)
    assert not set(OPERATIONS) & set(REFUSED)
