package model

import (
	"fmt"
	"reflect"
	"slices"

	"castiron.model/internal/engine"
)

// A Tensor is a dense array of numbers, bools or strings, in row-major order.
type Tensor struct {
	tensor engine.Tensor
}

// An Element is a Go type of tensor elements.
type Element interface {
	float32 | float64 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | bool
}

var dtypes = map[reflect.Kind]engine.DType{
	reflect.Float32: engine.F32, reflect.Float64: engine.F64,
	reflect.Int8: engine.I8, reflect.Int16: engine.I16, reflect.Int32: engine.I32, reflect.Int64: engine.I64,
	reflect.Uint8: engine.U8, reflect.Uint16: engine.U16, reflect.Uint32: engine.U32, reflect.Uint64: engine.U64,
	reflect.Int: engine.I64, reflect.Uint: engine.U64, reflect.Bool: engine.Bool, reflect.String: engine.String,
}

// NewTensor copies a value into a tensor: a number, bool or string, or slices or arrays of them, nested to
// any depth, as in [][]float32. It fails with a [DTypeError] for other types and with a [ShapeError]
// if the rows are not all of one length.
func NewTensor(value any) (*Tensor, error) {
	v := reflect.ValueOf(value)
	shape, element := []int64{}, v
	for element.IsValid() && (element.Kind() == reflect.Slice || element.Kind() == reflect.Array) {
		shape = append(shape, int64(element.Len()))
		if element.Len() == 0 {
			element = reflect.Zero(element.Type().Elem())
		} else {
			element = element.Index(0)
		}
	}
	dtype, ok := dtypes[element.Kind()]
	if !ok {
		return nil, &DTypeError{Label: "NewTensor", Got: fmt.Sprintf("%T", value), Want: "numbers, bools or strings"}
	}
	t := engine.NewTensor(dtype, shape)
	if dtype == engine.String {
		t.Words = &engine.Vocabulary{}
	}
	rest, err := fill(t, t.Data, v, 0)
	if err == nil && len(rest) != 0 {
		err = ragged(t, v)
	}
	if err != nil {
		return nil, err
	}
	return &Tensor{t}, nil
}

// fill copies v, at the given depth of t, to the front of data and returns what is left of it.
func fill(t engine.Tensor, data []byte, v reflect.Value, depth int) ([]byte, error) {
	if depth == len(t.Shape) {
		size := int(t.DType.Size())
		store(engine.Tensor{DType: t.DType, Data: data[:size], Words: t.Words}, v)
		return data[size:], nil
	}
	if int64(v.Len()) != t.Shape[depth] {
		return nil, ragged(t, v)
	}
	var err error
	for i := 0; i < v.Len() && err == nil; i++ {
		data, err = fill(t, data, v.Index(i), depth+1)
	}
	return data, err
}

func ragged(t engine.Tensor, v reflect.Value) error {
	want := make([]string, len(t.Shape))
	for i, d := range t.Shape {
		want[i] = fmt.Sprint(d)
	}
	return &ShapeError{Label: "NewTensor", Got: []int64{int64(v.Len())}, Want: want, Reason: "all rows must have the same length"}
}

// store writes one element.
func store(t engine.Tensor, v reflect.Value) {
	switch t.DType {
	case engine.F32:
		engine.Elements[float32](t)[0] = float32(v.Float())
	case engine.F64:
		engine.Elements[float64](t)[0] = v.Float()
	case engine.I8:
		engine.Elements[int8](t)[0] = int8(v.Int())
	case engine.I16:
		engine.Elements[int16](t)[0] = int16(v.Int())
	case engine.I32:
		engine.Elements[int32](t)[0] = int32(v.Int())
	case engine.I64:
		engine.Elements[int64](t)[0] = v.Int()
	case engine.U8:
		engine.Elements[uint8](t)[0] = uint8(v.Uint())
	case engine.U16:
		engine.Elements[uint16](t)[0] = uint16(v.Uint())
	case engine.U32:
		engine.Elements[uint32](t)[0] = uint32(v.Uint())
	case engine.U64:
		engine.Elements[uint64](t)[0] = v.Uint()
	case engine.Bool:
		engine.Elements[bool](t)[0] = v.Bool()
	case engine.String:
		engine.Elements[int64](t)[0] = t.Words.Add(v.String())
	}
}

// FromSlice returns a tensor of the given shape that shares the memory of data, whose elements are
// in row-major order. It fails with a [ShapeError] if their number does not fit the shape.
func FromSlice[T Element](data []T, shape ...int) (*Tensor, error) {
	var zero T
	wide, want := make([]int64, len(shape)), make([]string, len(shape))
	for i, d := range shape {
		wide[i], want[i] = int64(d), fmt.Sprint(d)
	}
	if n, ok := engine.Count(wide); !ok || n != int64(len(data)) {
		return nil, &ShapeError{Label: "FromSlice", Got: []int64{int64(len(data))}, Want: want,
			Reason: fmt.Sprintf("%d elements do not fill it", len(data))}
	}
	return &Tensor{engine.Of(dtypes[reflect.TypeOf(zero).Kind()], data, wide...)}, nil
}

// Elements returns the tensor's elements in row-major order, in the tensor's own memory. It fails
// with a [DTypeError] if they are not of type T.
func Elements[T Element](t *Tensor) ([]T, error) {
	var zero T
	if want := dtypes[reflect.TypeOf(zero).Kind()]; want != t.tensor.DType {
		return nil, &DTypeError{Label: "Elements", Got: t.DType(), Want: want.String()}
	}
	return engine.Elements[T](t.tensor), nil
}

// FromStrings returns a tensor of the given shape that holds strings, which are in row-major order. It fails with
// a [ShapeError] if their number does not fit the shape.
func FromStrings(data []string, shape ...int) (*Tensor, error) {
	words := &engine.Vocabulary{}
	numbers := make([]int64, len(data))
	for i, s := range data {
		numbers[i] = words.Add(s)
	}
	t, err := FromSlice(numbers, shape...)
	if err == nil {
		t.tensor.DType, t.tensor.Words = engine.String, words
	}
	return t, err
}

// Strings returns a copy of the tensor's elements in row-major order. It fails with a [DTypeError] if they are
// not strings.
func Strings(t *Tensor) ([]string, error) {
	if t.tensor.DType != engine.String {
		return nil, &DTypeError{Label: "Strings", Got: t.DType(), Want: engine.String.String()}
	}
	return t.strings(), nil
}

func (t *Tensor) strings() []string {
	list := make([]string, t.Len())
	for i, number := range engine.Elements[int64](t.tensor) {
		list[i] = t.tensor.Words.Word(number)
	}
	return list
}

// Float32s returns the tensor's elements as float32, in row-major order: the tensor's own memory if
// that is their type. Bools become 0 and 1. It returns nil for strings.
func (t *Tensor) Float32s() []float32 {
	tensor := t.tensor
	if tensor.DType == engine.Bool {
		tensor.DType = engine.U8
	}
	tensor, _ = engine.Cast("", tensor, engine.F32)
	return engine.Elements[float32](tensor)
}

// DType returns NumPy's name of the elements' type, as in "float32".
func (t *Tensor) DType() string { return t.tensor.DType.String() }

// Shape returns the dimensions; none for a single number.
func (t *Tensor) Shape() []int {
	shape := make([]int, len(t.tensor.Shape))
	for i, d := range t.tensor.Shape {
		shape[i] = int(d)
	}
	return shape
}

// Len returns the number of elements.
func (t *Tensor) Len() int { return t.tensor.Len() }

// Value returns the tensor as nested slices, as in [][]float32, or as a number if it has no
// dimensions. The innermost slices share the tensor's memory.
func (t *Tensor) Value() any {
	switch t.tensor.DType {
	case engine.F32:
		return nest(t, engine.Elements[float32](t.tensor))
	case engine.F64:
		return nest(t, engine.Elements[float64](t.tensor))
	case engine.I8:
		return nest(t, engine.Elements[int8](t.tensor))
	case engine.I16:
		return nest(t, engine.Elements[int16](t.tensor))
	case engine.I32:
		return nest(t, engine.Elements[int32](t.tensor))
	case engine.I64:
		return nest(t, engine.Elements[int64](t.tensor))
	case engine.U8:
		return nest(t, engine.Elements[uint8](t.tensor))
	case engine.U16:
		return nest(t, engine.Elements[uint16](t.tensor))
	case engine.U32:
		return nest(t, engine.Elements[uint32](t.tensor))
	case engine.U64:
		return nest(t, engine.Elements[uint64](t.tensor))
	case engine.String:
		return nest(t, t.strings())
	}
	return nest(t, engine.Elements[bool](t.tensor))
}

func nest[T any](t *Tensor, elements []T) any {
	shape := t.Shape()
	if len(shape) == 0 {
		return elements[0]
	}
	return slicesOf(reflect.ValueOf(elements), shape).Interface()
}

// slicesOf cuts a flat slice into nested ones.
func slicesOf(flat reflect.Value, shape []int) reflect.Value {
	if len(shape) == 1 {
		return flat
	}
	kind := flat.Type()
	for range shape[1:] {
		kind = reflect.SliceOf(kind)
	}
	outer := reflect.MakeSlice(kind, 0, shape[0])
	for i := range shape[0] {
		n := flat.Len() / shape[0]
		outer = reflect.Append(outer, slicesOf(flat.Slice3(i*n, (i+1)*n, (i+1)*n), shape[1:]))
	}
	return outer
}

// String describes the tensor, as in "float32[2,3]".
func (t *Tensor) String() string { return t.DType() + engine.ShapeText(t.tensor.Shape) }

func wrap(tensors []engine.Tensor) []*Tensor {
	list := make([]*Tensor, len(tensors))
	for i, t := range tensors {
		t.Shape = slices.Clone(t.Shape)
		list[i] = &Tensor{t}
	}
	return list
}
