"""The decimal text of integers, as far as it is hashed into buckets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from castiron.errors import ModelError
from castiron.frontends.results import Compound
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.table import COMPOUND, converts
from castiron.ir import Value
from castiron.ops import F

#: What the attributes of AsString are where it writes nothing but digits and a sign.
_PLAIN = {"precision": -1, "width": -1}


@dataclass(frozen=True, eq=False)
class Text(Compound):
    """The decimal text of integers."""

    number: Value
    kind: ClassVar[str] = "strings"

    def parts(self) -> tuple[Value]:
        return (self.number,)

    def remade(self, parts: tuple[Value]) -> Text:
        return Text(*parts)


@converts("AsString")
def as_string(node: SourceNode, x: Value) -> Text:
    if not x.type.dtype.is_integer or any(node.integer(name, plain) != plain for name, plain in _PLAIN.items()):
        raise ModelError(f"the text of {x.type!r}: only the plain decimal digits of integers are supported")
    return Text(x)


@converts("StringToHashBucketFast", table=COMPOUND)
def hash_fast(node: SourceNode, x: Text) -> Value:
    return F.hash_bucket(x.number, buckets=node.integer("num_buckets", 1), strategy="farmhash")


@converts("StringToHashBucketStrong", table=COMPOUND)
def hash_strong(node: SourceNode, x: Text) -> Value:
    salt = tuple(word % (1 << 64) for word in node.integers("key"))
    return F.hash_bucket(x.number, buckets=node.integer("num_buckets", 1), strategy="siphash", salt=salt)
