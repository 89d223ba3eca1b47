"""Why operators are not supported, as far as there is more to say than that nobody has needed them."""

from __future__ import annotations

_PATTERN = "compares strings with a pattern, but only words that the model looks for are known; cut the graph behind it"
_MAPS = "takes a map of any keys; feed a matrix, and cut the graph behind it (--input)"
_RANDOM = "draws random numbers; export the model for inference"
_TRAINING = "belongs to training; export the model for inference"
_FILES = "decodes files; cut the graph behind it (--input)"

#: By operator: why castiron doesn't compile it.
REASONS: dict[str, str] = {
    "RegexFullMatch": _PATTERN,
    **dict.fromkeys(("ai.onnx.ml.DictVectorizer", "ai.onnx.ml.CastMap"), _MAPS),
    **dict.fromkeys(("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial",
                     "Bernoulli"), _RANDOM),
    "ai.onnx.preview.training.Gradient": _TRAINING,
    "ImageDecoder": _FILES,
}


def why_not(op: str) -> str:
    """Why an operator is not supported, to stand behind its name."""
    return f"{op} is not supported" + (f": it {REASONS[op]}" if op in REASONS else "")
