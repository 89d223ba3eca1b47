package engine

// A DType is the type of a tensor's elements.
type DType uint8

// The element types, in the compiler's order.
const (
	F32 DType = iota
	F64
	I8
	I16
	I32
	I64
	U8
	U16
	U32
	U64
	Bool
	// String elements are int64 numbers of words, which a Vocabulary has.
	String
)

var dtypes = [...]struct {
	name string
	size int64
}{
	F32: {"float32", 4}, F64: {"float64", 8},
	I8: {"int8", 1}, I16: {"int16", 2}, I32: {"int32", 4}, I64: {"int64", 8},
	U8: {"uint8", 1}, U16: {"uint16", 2}, U32: {"uint32", 4}, U64: {"uint64", 8},
	Bool: {"bool", 1}, String: {"string", 8},
}

// String returns NumPy's name of the type.
func (t DType) String() string { return dtypes[t].name }

// Size returns the bytes of one element.
func (t DType) Size() int64 { return dtypes[t].size }
