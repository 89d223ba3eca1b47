"""Why operators are not supported, as far as there is more to say than that nobody has needed them."""

from __future__ import annotations

_PATTERN = "compares strings with a pattern, but only words that the model looks for are known; cut the graph behind it"
_MAPS = "takes a map of any keys; feed a matrix, and cut the graph behind it (--input)"
_RANDOM = "draws random numbers; export the model for inference"
_TRAINING = "belongs to training; export the model for inference"
_FILES = "decodes files; cut the graph behind it (--input)"
_GPU = "is made for GPUs; save the model before it is optimised for one"
_GENERATES = "searches for a text around a model of its own; compile that model, and call it in a loop"
_PYTORCH = "is PyTorch's own code, which the file only names; export the model with ONNX's operators alone"
_EXTENSIONS = "is code of onnxruntime-extensions, which the file only names; cut the graph behind it (--input)"

#: By operator: why castiron doesn't compile it.
REASONS: dict[str, str] = {
    "RegexFullMatch": _PATTERN,
    **dict.fromkeys(("ai.onnx.ml.DictVectorizer", "ai.onnx.ml.CastMap"), _MAPS),
    **dict.fromkeys(("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial",
                     "Bernoulli"), _RANDOM),
    "ai.onnx.preview.training.Gradient": _TRAINING,
    "ImageDecoder": _FILES,
    **dict.fromkeys((f"com.microsoft.{name}" for name in ("BiasSoftmax", "BiasSplitGelu", "BiasAdd", "GroupNorm",
                                                          "SkipGroupNorm", "NhwcConv", "NhwcFusedConv",
                                                          "PackedAttention", "PackedMultiHeadAttention",
                                                          "PagedAttention", "RemovePadding", "RestorePadding")), _GPU),
    **dict.fromkeys((f"com.microsoft.{name}" for name in ("BeamSearch", "GreedySearch", "Sampling",
                                                          "WhisperBeamSearch")), _GENERATES),
}

#: By domain: why castiron compiles none of its operators.
DOMAINS: dict[str, str] = {**dict.fromkeys(("org.pytorch.aten", "org.pytorch.prim", "aten", "prim", "pkg.torch.ops"),
                                           _PYTORCH),
                           **dict.fromkeys(("ai.onnx.contrib", "com.microsoft.extensions"), _EXTENSIONS)}

#: Domains of which castiron knows some operators.
KNOWN_DOMAINS = ("", "ai.onnx.ml", "ai.onnx.preview.training", "com.microsoft")


def why_not(op: str) -> str:
    """Why an operator is not supported, to stand behind its name."""
    domain = op.rpartition(".")[0]
    reason = REASONS.get(op) or DOMAINS.get(domain)
    if reason is None and domain not in KNOWN_DOMAINS:
        reason = f"belongs to {domain!r}, and the file has no function of that name"
    return f"{op} is not supported" + (f": it {reason}" if reason else "")
