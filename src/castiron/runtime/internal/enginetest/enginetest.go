// Package enginetest makes engines on small models whose compiled functions are written in Go, for
// the tests of the packages around the engine.
package enginetest

import (
	"errors"
	"slices"
	"unsafe"

	"castiron.model/internal/engine"
)

// A Function is what the compiler would have compiled.
type Function func(p []unsafe.Pointer, d []int64, begin, end int64)

// Native returns functions and constants in the engine's form. Its levels are "low" and "high", and
// compute the same.
func Native(functions []Function, weights []float32) engine.Native {
	return native(functions, weights, 1)
}

// native is Native for a number of symbols.
func native(functions []Function, weights []float32, symbols int) engine.Native {
	level := "high"
	return engine.Native{
		Call: func(entry int32, p *unsafe.Pointer, d *int64, begin, end int64) {
			functions[entry](unsafe.Slice(p, maxBuffers), unsafe.Slice(d, symbols), begin, end)
		},
		Weights: unsafe.Pointer(unsafe.SliceData(weights)),
		Level:   func() string { return level },
		Levels:  func() []string { return []string{"low", "high"} },
		Use: func(l string) error {
			if !slices.Contains([]string{"low", "high"}, l) {
				return errors.New("no level " + l)
			}
			level = l
			return nil
		},
	}
}

// maxBuffers bounds the operand tables of the models here.
const maxBuffers = 16

// Floats returns n elements at p.
func Floats(p unsafe.Pointer, n int64) []float32 { return unsafe.Slice((*float32)(p), n) }

// Fixed is a dimension without symbols, and Batch the symbol 0.
func Fixed(n int64) engine.Dim { return engine.Dim{{Coef: n}} }

var Batch = engine.Dim{{Coef: 1, Syms: []int32{0}}}

// linear is y = x·w + b with w = 2*w0, in 4-row blocks:
//
//	x float32[batch,3]  w0 = [[1,2],[3,4],[5,6]]  b = [10,20]  y float32[batch,2]
var linearWeights = []float32{
	1, 2, 3, 4, 5, 6, // w0
	2, 4, 6, 8, 10, 12, // w
	10, 20, // b
	1, 0, 0, 0, 1, 1, // golden x
	12, 24, 26, 40, // golden y
}

const (
	block = 4
	wAt   = 24
	bAt   = 48
)

func matmul(x, w, y []float32, begin, end int64) {
	for i := begin; i < end; i++ {
		for j := range int64(2) {
			y[2*i+j] = x[3*i]*w[j] + x[3*i+1]*w[2+j] + x[3*i+2]*w[4+j]
		}
	}
}

// biasAdd is one tile per row; matmul one per block of rows.
func biasAdd(h, b, y []float32, begin, end int64) {
	for i := 2 * begin; i < 2*end; i++ {
		y[i] = h[i] + b[i%2]
	}
}

// Linear returns an engine on the model y = x·w + b, where x is [batch,3] and y [batch,2]:
//
//	x                Placeholder  input
//	linear/w0        Const
//	linear/w         Mul          w0*2, folded
//	linear/b         Const
//	linear/MatMul    MatMul
//	linear/BiasAdd   BiasAdd      output "y"
//	init             NoOp
func Linear() *engine.Engine {
	return engine.New(LinearModel(), LinearNative())
}

// LinearNative is the code of Linear.
func LinearNative() engine.Native {
	rows := func(d []int64, begin, end int64) (int64, int64) {
		return begin * block, min(end*block, d[0])
	}
	return Native([]Function{
		func(p []unsafe.Pointer, d []int64, begin, end int64) { // h = x·w
			begin, end = rows(d, begin, end)
			w := Floats(unsafe.Add(p[0], wAt), 6)
			matmul(Floats(p[2], 3*d[0]), w, Floats(p[4], 2*d[0]), begin, end)
		},
		func(p []unsafe.Pointer, d []int64, begin, end int64) { // y = h + b
			biasAdd(Floats(p[4], 2*d[0]), Floats(unsafe.Add(p[0], bAt), 2), Floats(p[3], 2*d[0]), begin, end)
		},
		func(p []unsafe.Pointer, d []int64, begin, end int64) { // trace: w = w0*2
			for i, v := range Floats(p[3], 6) {
				Floats(p[4], 6)[i] = 2 * v
			}
		},
		func(p []unsafe.Pointer, d []int64, begin, end int64) { // trace: h = x·w
			begin, end = rows(d, begin, end)
			matmul(Floats(p[2], 3*d[0]), Floats(p[4], 6), Floats(p[6], 2*d[0]), begin, end)
		},
		func(p []unsafe.Pointer, d []int64, begin, end int64) { // trace: y = h + b
			biasAdd(Floats(p[6], 2*d[0]), Floats(p[5], 2), Floats(p[7], 2*d[0]), begin, end)
		},
	}, linearWeights)
}

// LinearModel is the data of Linear.
func LinearModel() *engine.Model {
	free := func(rows, columns engine.Dim, slot, producer int32) engine.Buffer {
		return engine.Buffer{DType: engine.F32, Shape: []engine.Dim{rows, columns}, Const: -1, Slot: slot, Producer: producer}
	}
	constant := func(at int64, producer int32, shape ...engine.Dim) engine.Buffer {
		return engine.Buffer{DType: engine.F32, Shape: shape, Const: at, Slot: -1, Producer: producer}
	}
	weights, scratch := constant(0, -1), engine.Buffer{Const: -1, Slot: -1, Producer: -1}
	one, two, three := Fixed(1), Fixed(2), Fixed(3)
	label := func(name, op string, buffer int32, role string, shape ...string) engine.Label {
		return engine.Label{Name: name, Op: op, Buffer: buffer, DType: engine.F32, Shape: shape, Role: role}
	}
	return &engine.Model{
		Name: "linear", Digest: "00", Format: "test", Compiler: "test", Toolchain: "go", Verified: "by hand",
		Tolerance: 1e-6,
		Fast: &engine.Program{
			Symbols: []string{"batch"}, ScratchBytes: 128, RowWise: true,
			Buffers: []engine.Buffer{weights, scratch,
				free(Batch, three, -1, -1), free(Batch, two, -1, 1), free(Batch, two, 0, 0)},
			Steps: []engine.Step{
				{Entry: 0, Reads: []int32{0, 2}, Writes: []int32{4}, Rows: Batch, Block: block, TileNanos: 30},
				{Entry: 1, Reads: []int32{0, 4}, Writes: []int32{3}, Rows: Batch, Block: 1, TileNanos: 10},
			},
			Inputs:  []engine.Port{{Name: "x", Label: "x", Buffer: 2}},
			Outputs: []engine.Port{{Name: "y", Label: "linear/BiasAdd", Buffer: 3}},
		},
		Trace: &engine.Program{
			Symbols: []string{"batch"}, RowWise: true,
			Buffers: []engine.Buffer{weights, scratch,
				free(Batch, three, -1, -1), constant(0, -1, three, two), constant(wAt, 0, three, two),
				constant(bAt, -1, two), free(Batch, two, -1, 1), free(Batch, two, -1, 2)},
			Steps: []engine.Step{
				{Entry: 2, Reads: []int32{3}, Writes: []int32{4}, Rows: one, Block: 1, TileNanos: 10},
				{Entry: 3, Reads: []int32{2, 4}, Writes: []int32{6}, Rows: Batch, Block: block, TileNanos: 30},
				{Entry: 4, Reads: []int32{6, 5}, Writes: []int32{7}, Rows: Batch, Block: 1, TileNanos: 10},
			},
			Inputs:  []engine.Port{{Name: "x", Label: "x", Buffer: 2}},
			Outputs: []engine.Port{{Name: "y", Label: "linear/BiasAdd", Buffer: 7}},
		},
		Labels: []engine.Label{
			label("x", "Placeholder", 2, "input", "batch", "3"),
			label("linear/w0", "Const", 3, "", "3", "2"),
			label("linear/w", "Mul", 4, "", "3", "2"),
			label("linear/b", "Const", 5, "", "2"),
			label("linear/MatMul", "MatMul", 6, "", "batch", "2"),
			label("linear/BiasAdd", "BiasAdd", 7, "output", "batch", "2"),
			label("init", "NoOp", -1, ""),
		},
		Golden: []engine.Golden{{Symbols: []int64{2}, Inputs: []int64{56}, Outputs: []int64{80}}},
	}
}
