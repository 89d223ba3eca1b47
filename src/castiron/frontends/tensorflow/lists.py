"""Lists of tensors (TensorList…), each as one tensor with an axis more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import SPLAT_LIMIT
from castiron.frontends.results import Compound, Result, Results
from castiron.frontends.tensorflow.handlers import Context, Scope, handles
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.ir import Dim, DType, Expr, TensorType, Value, constant, exact_div
from castiron.ops import F
from castiron.ops.sizes import extent
from castiron.ops.symbolic import dims_of, known

#: The shape of an element as far as it is declared: None for an unknown rank, in it None for an unknown dimension.
Element = tuple[Dim | None, ...] | None


@dataclass(frozen=True, eq=False)
class TensorList(Compound):
    """A list. ``data`` has the elements side by side along ``axis`` and is missing until the first one says
    their shape; the list may be shorter than it if ``size`` is a value. ``limit`` is the largest size, if
    that is declared; a list that ``grows`` may be written one past its end."""

    dtype: DType
    element: Element
    size: Dim | Value
    data: Value | None = None
    axis: int = 0
    limit: int | None = None
    grows: bool = False

    def parts(self) -> tuple[Value, ...]:
        return tuple(part for part in (self.data, self.size) if isinstance(part, Value))

    def remade(self, parts: tuple[Value, ...]) -> TensorList:
        rest = iter(parts)
        return replace(self, data=None if self.data is None else next(rest),
                       size=next(rest) if isinstance(self.size, Value) else self.size)

    @property
    def item(self) -> TensorType:
        """The type of an element; ModelError if nothing says it."""
        if self.data is not None:
            shape = self.data.type.shape
            return TensorType(self.dtype, (*shape[:self.axis], *shape[self.axis + 1:]))
        if self.element is None or None in self.element:
            raise ModelError("the shape of the list's elements is not known")
        return TensorType(self.dtype, self.element)

    def holding(self, shape: tuple[Dim, ...]) -> TensorList:
        """With memory for elements of a shape, all zero."""
        size = self.size
        if isinstance(size, Value):
            raise ModelError("a list without elements whose length depends on what is fed")
        axis = _axis(shape)
        sizes = (*shape[:axis], size, *shape[axis:])
        _check_size(sizes)
        zero = constant(np.zeros((), self.dtype.numpy))
        return replace(self, data=F.broadcast_to(zero, shape=sizes), axis=axis)

    def at(self, index: Value) -> Value:
        """One element; zeros if none was written yet."""
        if self.data is None:
            item = self.item
            return F.broadcast_to(constant(np.zeros((), self.dtype.numpy)), shape=item.shape)
        return F.gather(self.data, index, axis=self.axis)

    def written(self, index: Value, item: Value) -> TensorList:
        """With one element replaced; a list that grows may get it as a new one behind its last."""
        whole = self if self.data is not None else self.holding(item.type.shape)
        if item.type != whole.item:
            raise ModelError(f"a list of {whole.item!r} gets an element {item.type!r}")
        if self.grows and isinstance(self.size, Value):
            return replace(whole, data=F.update(whole.data, self.size, item, axis=whole.axis), size=F.add(self.size, 1))
        place = known(index)
        if self.grows and (self.size == 0 or (place is not None and place >= self.size)):
            return self.pushed(item)
        return replace(whole, data=F.update(whole.data, index, item, axis=whole.axis))

    def pushed(self, item: Value) -> TensorList:
        """With an element more."""
        if isinstance(self.size, Value):
            whole = self if self.data is not None else self.holding(item.type.shape)
            return replace(whole, data=F.update(whole.data, self.size, item, axis=whole.axis), size=F.add(self.size, 1))
        axis = _axis(item.type.shape)
        shape = item.type.shape
        last = F.reshape(item, shape=(*shape[:axis], 1, *shape[axis:]))
        if self.data is None and self.size == 0:
            return replace(self, data=last, axis=axis, size=1)
        whole = self if self.data is not None else self.holding(shape)
        return replace(whole, data=F.concat(whole.data, last, axis=axis), size=self.size + 1)

    def popped(self) -> tuple[TensorList, Value]:
        """Without the last element, and that."""
        if isinstance(self.size, Value):
            last = F.sub(self.size, 1)
            return replace(self, size=last), self.at(last)
        if isinstance(self.size, int) and self.size < 1:
            raise ModelError("the last element of an empty list")
        rest = self.resized(self.size - 1)
        return rest, self.at(F.dims(values=(self.size - 1,), shape=(), dtype=DType.I64))

    def resized(self, size: Dim) -> TensorList:
        """Cut off, or with zeros behind."""
        if self.data is None or size == self.size:
            return replace(self, size=size)
        if isinstance(self.size, Value):
            raise ModelError("the length of the list depends on what is fed")
        shape, axis = list(self.data.type.shape), self.axis
        more = size - self.size
        if isinstance(more, int) and more < 0:
            shape[axis] = size
            data = F.slice(self.data, starts=(0,) * len(shape), sizes=tuple(shape), steps=(1,) * len(shape))
        else:
            data = F.concat(self.data, replace(self, size=more).holding(self.item.shape).data, axis=axis)
        return replace(self, data=data, size=size)

    def stacked(self) -> Value:
        """All elements along a new first axis."""
        whole = self if self.data is not None else self.holding(self.item.shape)
        rows = _swapped(whole.data, whole.axis)
        if not isinstance(self.size, Value):
            return rows
        room = F.dims(values=(rows.type.shape[0],), shape=(), dtype=DType.I64)
        return extent(rows, F.minimum(F.cast(self.size, dtype=DType.I64), room), "stacked")


def of_tensor(x: Value) -> TensorList:
    """The list of the slices along the first axis."""
    size, *element = x.type.shape
    axis = _axis(element)
    return TensorList(x.type.dtype, tuple(element), size, _swapped(x, axis), axis)


def counts(context: Context, indices: Value, size: Dim) -> bool:
    """Whether indices are 0, 1, … size-1."""
    if context.ranges.get(indices) == size:
        return True
    array = known(indices)
    return array is not None and array.dtype != object and array.shape == (size,) and bool(
        (array == np.arange(array.size)).all())


def element_of(value: Value) -> Element:
    """The shape that an operand declares: a vector with -1 for what is unknown, or the scalar -1."""
    dims = dims_of(value)
    if dims is None or not value.type.rank:
        return None
    return tuple(None if dim == -1 else dim for dim in dims)


def scattered(context: Context, x: Value, indices: Value, size: Dim | None) -> TensorList:
    """A list of the slices of x in the places that the indices name, all others zero."""
    if counts(context, indices, x.type.shape[0]) and size in (None, x.type.shape[0]):
        return of_tensor(x)
    if size is None:
        places = known(indices)
        if places is None or places.dtype == object:
            raise ModelError("the length of the list depends on what is fed")
        size = int(places.max(initial=-1)) + 1
    return written_at(TensorList(x.type.dtype, x.type.shape[1:], size).holding(x.type.shape[1:]), indices, x)


def written_at(target: TensorList, indices: Value, x: Value) -> TensorList:
    """With the slices of x in the places that the indices name."""
    whole = target if target.data is not None else target.holding(x.type.shape[1:])
    stacked = _swapped(whole.data, whole.axis)
    places = F.reshape(indices, shape=(*indices.type.shape, 1))
    return replace(whole, data=_swapped(F.scatter(stacked, places, x, mode="set"), whole.axis))


def joined(items: TensorList) -> tuple[Value, Value]:
    """All elements along their own first axis, and how long each is."""
    x = items.stacked()
    count, length, *rest = x.type.shape if x.type.rank > 1 else (*x.type.shape, None)
    if length is None:
        raise ModelError("scalars can't be joined")
    lengths = F.dims(values=(length,), shape=(1,), dtype=DType.I64)
    return F.reshape(x, shape=(count * length, *rest)), F.broadcast_to(lengths, shape=(count,))


def cut(node: SourceNode, x: Value, lengths: Value) -> TensorList:
    """The list of pieces of x along its first axis, which must be of one length."""
    sizes = set(node.dims(lengths, "the lengths of the pieces"))
    if len(sizes) != 1:
        raise ModelError(f"a list of pieces of different lengths: {sorted(map(str, sizes))}")
    length, = sizes
    return of_tensor(F.reshape(x, shape=(exact_div(x.type.shape[0], length), length, *x.type.shape[1:])))


def _axis(shape: Sequence[Dim | None]) -> int:
    """Where elements of a shape stand side by side: batches of rows do so in each row, for what a recurrent
    layer does with them is then done row by row."""
    return int(len(shape) > 1 and isinstance(shape[0], Expr))


def _swapped(x: Value, axis: int) -> Value:
    return F.transpose(x, perm=(1, 0, *range(2, x.type.rank))) if axis else x


def _check_size(sizes: tuple[Dim, ...]) -> None:
    total = 1
    for size in sizes:
        total *= size if isinstance(size, int) else 1
    if not 0 <= total <= SPLAT_LIMIT:
        raise ModelError(f"a list of {total} elements")


@handles("TensorListReserve")
def _reserve(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    size, = node.sizes(operands[1], "listed")
    _check_size((size,))
    return (TensorList(node.dtype("element_dtype"), element_of(operands[0]), size),)


@handles("EmptyTensorList")
def _empty(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    limit = known(operands[1])
    return (TensorList(node.dtype("element_dtype"), element_of(operands[0]), 0,
                       limit=int(limit.item()) if limit is not None and limit.item() > 0 else None),)


@handles("TensorListFromTensor")
def _from_tensor(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return (of_tensor(operands[0]),)


@handles("TensorListGetItem")
def _get(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return (_declared(operands[0], operands[2]).at(operands[1]),)


@handles("TensorListSetItem")
def _set(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    target, index, item = operands
    if node.flag("resize_if_index_out_of_bounds"):
        target = replace(target, grows=True)
    return (target.written(index, item),)


@handles("TensorListStack")
def _stack(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return (_declared(operands[0], operands[1]).stacked(),)


@handles("TensorListGather")
def _gather(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    items = _declared(operands[0], operands[2])
    if not isinstance(items.size, Value) and counts(context, operands[1], items.size):
        return (items.stacked(),)
    whole = items if items.data is not None else items.holding(items.item.shape)
    return (F.gather(_swapped(whole.data, whole.axis), operands[1], axis=0),)


@handles("TensorListScatter", "TensorListScatterV2")
def _scatter(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    size = node.dims(operands[3], "the length of the list")[0] if len(operands) > 3 else -1
    return (scattered(context, operands[0], operands[1], None if size == -1 else size),)


@handles("TensorListScatterIntoExistingList")
def _scatter_into(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    target, x, indices = operands
    return (written_at(target, indices, x),)


@handles("TensorListLength")
def _length(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return (length_of(operands[0]),)


def length_of(items: TensorList) -> Value:
    """How many elements there are, an i32[]."""
    if isinstance(items.size, Value):
        return F.cast(items.size, dtype=DType.I32)
    return F.dims(values=(items.size,), shape=(), dtype=DType.I32)


@handles("TensorListElementShape")
def _element_shape(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    shape = operands[0].item.shape
    return (F.dims(values=shape, shape=(len(shape),), dtype=node.dtype("shape_type", DType.I32)),)


@handles("TensorListPushBack")
def _push(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return (operands[0].pushed(operands[1]),)


@handles("TensorListPopBack")
def _pop(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return _declared(operands[0], operands[1]).popped()


@handles("TensorListResize")
def _resize(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return (operands[0].resized(node.dims(operands[1], "the length of the list")[0]),)


@handles("TensorListConcat", "TensorListConcatV2")
def _concat(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return joined(operands[0])


@handles("TensorListSplit")
def _split(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return (cut(node, operands[0], operands[2]),)


def _declared(items: TensorList, shape: Value) -> TensorList:
    """With the shape of the elements that the reader declares, if nothing said it yet."""
    if items.data is None and (items.element is None or None in items.element):
        return replace(items, element=element_of(shape))
    return items
