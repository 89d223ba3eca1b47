package engine

import (
	"fmt"
	"math"
	"unsafe"
)

// A Tensor is a dense row-major array. Data holds its elements in the machine's byte order.
type Tensor struct {
	DType DType
	Shape []int64
	Data  []byte
	// Words are those of strings, nil for other types.
	Words *Vocabulary
	// Columns are names of the last dimension's elements, nil without such.
	Columns []string
}

// A Number is a Go type of tensor elements.
type Number interface {
	float32 | float64 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}

// NewTensor returns a tensor of zeros.
func NewTensor(dtype DType, shape []int64) Tensor {
	n, ok := Count(shape)
	if !ok {
		panic("engine: tensor too large: " + ShapeText(shape))
	}
	return Tensor{DType: dtype, Shape: shape, Data: newBytes(n * dtype.Size())}
}

// Of returns a tensor that shares the memory of data.
func Of[T Number | bool](dtype DType, data []T, shape ...int64) Tensor {
	return Tensor{DType: dtype, Shape: shape, Data: asBytes(data)}
}

// Elements returns the tensor's memory as a slice of T, which must be the type that t.DType names.
func Elements[T Number | bool](t Tensor) []T {
	var zero T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(t.Data))), len(t.Data)/int(unsafe.Sizeof(zero)))
}

// Len returns the number of elements.
func (t Tensor) Len() int { return len(t.Data) / int(t.DType.Size()) }

func asBytes[T Number | bool](data []T) []byte {
	var zero T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), len(data)*int(unsafe.Sizeof(zero)))
}

// newBytes returns n zero bytes, aligned for every element type.
func newBytes(n int64) []byte {
	words := make([]uint64, (n+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), n)
}

// Cast returns t with elements of another type: t itself if it has that type. Any number becomes
// the nearest float; a number becomes an integer only if it is one and in range. Bools are not
// numbers. Its error is a *DTypeError that carries the given label.
func Cast(label string, t Tensor, dtype DType) (Tensor, error) {
	if t.DType == dtype {
		return t, nil
	}
	out := Tensor{DType: dtype, Shape: t.Shape}
	var err error
	switch t.DType {
	case F32:
		out.Data, err = castFrom(Elements[float32](t), dtype)
	case F64:
		out.Data, err = castFrom(Elements[float64](t), dtype)
	case I8:
		out.Data, err = castFrom(Elements[int8](t), dtype)
	case I16:
		out.Data, err = castFrom(Elements[int16](t), dtype)
	case I32:
		out.Data, err = castFrom(Elements[int32](t), dtype)
	case I64:
		out.Data, err = castFrom(Elements[int64](t), dtype)
	case U8:
		out.Data, err = castFrom(Elements[uint8](t), dtype)
	case U16:
		out.Data, err = castFrom(Elements[uint16](t), dtype)
	case U32:
		out.Data, err = castFrom(Elements[uint32](t), dtype)
	case U64:
		out.Data, err = castFrom(Elements[uint64](t), dtype)
	default:
		err = errNotNumber
	}
	if err != nil {
		e := &DTypeError{Label: label, Got: t.DType.String(), Want: dtype.String()}
		if err != errNotNumber {
			e.Reason = err.Error()
		}
		return Tensor{}, e
	}
	return out, nil
}

var errNotNumber = fmt.Errorf("not a number")

func castFrom[S Number](source []S, dtype DType) ([]byte, error) {
	switch dtype {
	case F32:
		return toFloat[S, float32](source), nil
	case F64:
		return toFloat[S, float64](source), nil
	case I8:
		return toInteger[S, int8](source, math.MaxInt8)
	case I16:
		return toInteger[S, int16](source, math.MaxInt16)
	case I32:
		return toInteger[S, int32](source, math.MaxInt32)
	case I64:
		return toInteger[S, int64](source, math.MaxInt64)
	case U8:
		return toInteger[S, uint8](source, math.MaxUint8)
	case U16:
		return toInteger[S, uint16](source, math.MaxUint16)
	case U32:
		return toInteger[S, uint32](source, math.MaxUint32)
	case U64:
		return toInteger[S, uint64](source, math.MaxUint64)
	}
	return nil, errNotNumber
}

func toFloat[S Number, D float32 | float64](source []S) []byte {
	var zero D
	data := newBytes(int64(len(source)) * int64(unsafe.Sizeof(zero)))
	for i, d := 0, Elements[D](Tensor{Data: data}); i < len(source); i++ {
		d[i] = D(source[i])
	}
	return data
}

func toInteger[S, D Number](source []S, largest uint64) ([]byte, error) {
	var zero D
	data := newBytes(int64(len(source)) * int64(unsafe.Sizeof(zero)))
	d := Elements[D](Tensor{Data: data})
	for i, s := range source {
		d[i] = D(s)
		// A float conversion out of range gives what the processor likes, which can convert back to
		// s by rounding: so the bound is checked as well. float64(largest) rounds up to a power of
		// two for the 64-bit types, which is itself out of range.
		above := float64(s) > float64(largest) || largest >= 1<<63-1 && float64(s) >= float64(largest) && isFloat[S]()
		if S(d[i]) != s || (d[i] < 0) != (s < 0) || above {
			return nil, fmt.Errorf("value %v at element %d", s, i)
		}
	}
	return data, nil
}

func isFloat[S Number]() bool {
	half := 0.5
	return S(half) != 0
}

// Clone returns a tensor with memory of its own.
func (t Tensor) Clone() Tensor {
	data := newBytes(int64(len(t.Data)))
	copy(data, t.Data)
	t.Shape, t.Data = append([]int64(nil), t.Shape...), data
	return t
}

// memory returns the n bytes at p.
func memory(p unsafe.Pointer, n int64) []byte { return unsafe.Slice((*byte)(p), n) }
