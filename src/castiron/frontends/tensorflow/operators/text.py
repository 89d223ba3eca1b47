"""Strings: those whose words are known when the model is compiled, and the decimal text of integers, as far as it is
hashed into buckets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from castiron.errors import ModelError
from castiron.frontends.results import Compound
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.shape import shape, size_
from castiron.frontends.tensorflow.operators.table import COMPOUND, TEXT, converts
from castiron.frontends.text import Text, equal
from castiron.ir import Value
from castiron.ops import F, apply

#: What the attributes of AsString are where it writes nothing but digits and a sign.
_PLAIN = {"precision": -1, "width": -1}


@dataclass(frozen=True, eq=False)
class Decimals(Compound):
    """The decimal text of integers."""

    number: Value
    kind: ClassVar[str] = "strings"

    def parts(self) -> tuple[Value]:
        return (self.number,)

    def remade(self, parts: tuple[Value]) -> Decimals:
        return Decimals(*parts)


@converts("AsString")
def as_string(node: SourceNode, x: Value) -> Decimals:
    if not x.type.dtype.is_integer or any(node.integer(name, plain) != plain for name, plain in _PLAIN.items()):
        raise ModelError(f"the text of {x.type!r}: only the plain decimal digits of integers are supported")
    return Decimals(x)


@converts("StringToHashBucketFast", table=COMPOUND)
def hash_fast(node: SourceNode, x: Decimals) -> Value:
    return F.hash_bucket(x.number, buckets=node.integer("num_buckets", 1), strategy="farmhash")


@converts("StringToHashBucketStrong", table=COMPOUND)
def hash_strong(node: SourceNode, x: Decimals) -> Value:
    salt = tuple(word % (1 << 64) for word in node.integers("key"))
    return F.hash_bucket(x.number, buckets=node.integer("num_buckets", 1), strategy="siphash", salt=salt)


@converts("Equal", table=TEXT)
def equal_strings(node: SourceNode, x: Text, y: Text) -> Value:
    return equal(x, y)


@converts("NotEqual", table=TEXT)
def different_strings(node: SourceNode, x: Text, y: Text) -> Value:
    return apply("not", equal(x, y))


@converts("Shape", table=TEXT)
def shape_of_strings(node: SourceNode, x: Text) -> Value:
    return shape(node, x.ids)


@converts("Size", table=TEXT)
def number_of_strings(node: SourceNode, x: Text) -> Value:
    return size_(node, x.ids)
