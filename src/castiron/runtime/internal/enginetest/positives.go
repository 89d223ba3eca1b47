package enginetest

import (
	"unsafe"

	"castiron.model/internal/engine"
)

var positivesWeights = []float32{
	1, -2, 3, // golden x
	1, 3, // golden kept
	10, 30, // golden y
}

// Positives returns an engine on a model that measures a size:
//
//	x       Placeholder  input, float32[batch]
//	count   Sum          of the elements above 0, int64
//	kept    Where        output, float32[positive]: these elements
//	y       Mul          output, float32[positive]: 10 times them
func Positives() *engine.Engine { return engine.New(PositivesModel(), PositivesNative()) }

// PositivesNative is the code of Positives.
func PositivesNative() engine.Native {
	compact := func(x, out []float32) (n int64) {
		for _, v := range x {
			if v > 0 {
				out[n] = v
				n++
			}
		}
		return n
	}
	count := func(p unsafe.Pointer) *int64 { return (*int64)(p) }
	tenfold := func(x, y []float32) {
		for i, v := range x {
			y[i] = 10 * v
		}
	}
	return native([]Function{
		// Fast: what is kept stands in front in a buffer as large as x.
		func(p []unsafe.Pointer, d []int64, begin, end int64) {
			*count(p[4]) = compact(Floats(p[2], d[0]), Floats(p[3], d[0]))
		},
		func(p []unsafe.Pointer, d []int64, begin, end int64) {
			copy(Floats(p[5], d[1]), Floats(p[3], d[1]))
		},
		func(p []unsafe.Pointer, d []int64, begin, end int64) { tenfold(Floats(p[3], d[1]), Floats(p[6], d[1])) },
		func(p []unsafe.Pointer, d []int64, begin, end int64) {
			copy(Floats(p[7], d[1]), Floats(p[6], d[1]))
		},
		// Trace.
		func(p []unsafe.Pointer, d []int64, begin, end int64) { tenfold(Floats(p[5], d[1]), Floats(p[6], d[1])) },
	}, positivesWeights, 2)
}

// Overcounting is PositivesNative with a count that is not that of the elements.
func Overcounting(count int64) engine.Native {
	native := PositivesNative()
	call := native.Call
	native.Call = func(entry int32, p *unsafe.Pointer, d *int64, begin, end int64) {
		call(entry, p, d, begin, end)
		if entry == 0 {
			*(*int64)(unsafe.Slice(p, maxBuffers)[4]) = count
		}
	}
	return native
}

// PositivesModel is the data of Positives.
func PositivesModel() *engine.Model {
	positive := engine.Dim{{Coef: 1, Syms: []int32{1}}}
	buffer := func(dtype engine.DType, slot, producer, stage int32, shape ...engine.Dim) engine.Buffer {
		return engine.Buffer{DType: dtype, Shape: shape, Const: -1, Slot: slot, Producer: producer, Stage: stage}
	}
	weights := engine.Buffer{Const: 0, Slot: -1, Producer: -1}
	scratch := engine.Buffer{Const: -1, Slot: -1, Producer: -1}
	x, one := buffer(engine.F32, -1, -1, 0, Batch), Fixed(1)
	inputs := []engine.Port{{Name: "x", Label: "x", Buffer: 2}}
	fast := &engine.Program{
		Symbols:  []string{"batch", "positive"},
		Measured: []engine.Measured{{Symbol: 1, Buffer: 4, Step: 1}},
		Buffers: []engine.Buffer{weights, scratch, x,
			buffer(engine.F32, 0, 0, 0, Batch), buffer(engine.I64, 1, 0, 0),
			buffer(engine.F32, -1, 1, 1, positive), buffer(engine.F32, 2, 2, 1, positive),
			buffer(engine.F32, -1, 3, 1, positive)},
		Steps: []engine.Step{
			{Entry: 0, Reads: []int32{2}, Writes: []int32{3, 4}, Rows: one, Block: 1},
			{Entry: 1, Reads: []int32{3, 4}, Writes: []int32{5}, Rows: one, Block: 1, Waits: []int32{0}},
			{Entry: 2, Reads: []int32{3}, Writes: []int32{6}, Rows: one, Block: 1, Waits: []int32{0}},
			{Entry: 3, Reads: []int32{6}, Writes: []int32{7}, Rows: one, Block: 1, Waits: []int32{0}},
		},
		Inputs:  inputs,
		Outputs: []engine.Port{{Name: "kept", Label: "kept", Buffer: 5}, {Name: "y", Label: "y", Buffer: 7}},
	}
	trace := &engine.Program{
		Symbols: fast.Symbols, Measured: fast.Measured,
		Buffers: []engine.Buffer{weights, scratch, x,
			buffer(engine.F32, -1, 0, 0, Batch), buffer(engine.I64, -1, 0, 0),
			buffer(engine.F32, -1, 1, 1, positive), buffer(engine.F32, -1, 2, 1, positive)},
		Steps: []engine.Step{
			{Entry: 0, Reads: []int32{2}, Writes: []int32{3, 4}, Rows: one, Block: 1},
			{Entry: 1, Reads: []int32{3, 4}, Writes: []int32{5}, Rows: one, Block: 1, Waits: []int32{0}},
			{Entry: 4, Reads: []int32{5}, Writes: []int32{6}, Rows: one, Block: 1, Waits: []int32{0}},
		},
		Inputs:  inputs,
		Outputs: []engine.Port{{Name: "kept", Label: "kept", Buffer: 5}, {Name: "y", Label: "y", Buffer: 6}},
	}
	label := func(name, op string, dtype engine.DType, buffer int32, role string, shape ...string) engine.Label {
		return engine.Label{Name: name, Op: op, Buffer: buffer, DType: dtype, Shape: shape, Role: role}
	}
	return &engine.Model{
		Name: "positives", Format: "test", Tolerance: 1e-6, Fast: fast, Trace: trace,
		Labels: []engine.Label{
			label("x", "Placeholder", engine.F32, 2, "input", "batch"), label("count", "Sum", engine.I64, 4, ""),
			label("kept", "Where", engine.F32, 5, "output", "positive"),
			label("y", "Mul", engine.F32, 6, "output", "positive"),
		},
		Golden: []engine.Golden{{Symbols: []int64{3, 2}, Inputs: []int64{0}, Outputs: []int64{12, 20}}},
	}
}
