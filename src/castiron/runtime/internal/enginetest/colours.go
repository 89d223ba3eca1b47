package enginetest

import (
	"unsafe"

	"castiron.model/internal/engine"
)

// Colours returns an engine on a model of strings, whose row-wise outputs tell of each colour, two at a time:
//
//	colour   Input          input, string[batch]: red, green or blue
//	weight   Input          input, float32[batch]
//	answer   LabelEncoder   output, string[batch]: stop, go or "what?"
//	chance   ZipMap         output, float32[batch,2] with the columns yes and "no, never": the number and the weight
func Colours() *engine.Engine {
	words := &engine.Vocabulary{Words: []string{"red", "green", "blue"}}
	answers := &engine.Vocabulary{Words: []string{"stop", "go", "what?"}}
	free := func(dtype engine.DType, shape ...engine.Dim) engine.Buffer {
		return engine.Buffer{DType: dtype, Shape: shape, Const: -1, Slot: -1, Producer: -1}
	}
	buffers := []engine.Buffer{
		{Const: 0, Slot: -1, Producer: -1}, {Const: -1, Slot: -1, Producer: -1},
		free(engine.I64, Batch), free(engine.F32, Batch), free(engine.I64, Batch), free(engine.F32, Batch, Fixed(2)),
	}
	buffers[4].Producer, buffers[5].Producer = 0, 0
	program := func() *engine.Program {
		return &engine.Program{
			Symbols: []string{"batch"}, RowWise: true, Piece: 2, Buffers: buffers,
			Steps: []engine.Step{
				{Entry: 0, Reads: []int32{2, 3}, Writes: []int32{4, 5}, Rows: Batch, Block: 1, TileNanos: 10},
			},
			Inputs: []engine.Port{{Name: "colour", Label: "colour", Buffer: 2, Words: words}, {Name: "weight", Label: "weight", Buffer: 3}},
			Outputs: []engine.Port{{Name: "answer", Label: "answer", Buffer: 4, Words: answers},
				{Name: "chance", Label: "chance", Buffer: 5, Columns: []string{"yes", "no, never"}}},
		}
	}
	return engine.New(&engine.Model{
		Name: "colours", Fast: program(), Trace: program(),
		Labels: []engine.Label{
			{Name: "colour", Op: "Input", Buffer: 2, DType: engine.I64, Shape: []string{"batch"}, Words: words, Role: "input"},
			{Name: "weight", Op: "Input", Buffer: 3, DType: engine.F32, Shape: []string{"batch"}, Role: "input"},
			{Name: "answer", Op: "LabelEncoder", Buffer: 4, DType: engine.I64, Shape: []string{"batch"}, Words: answers, Role: "output"},
			{Name: "chance", Op: "ZipMap", Buffer: 5, DType: engine.F32, Shape: []string{"batch", "2"}, Role: "output"},
		},
	}, Native([]Function{func(p []unsafe.Pointer, d []int64, begin, end int64) {
		numbers := unsafe.Slice((*int64)(p[2]), d[0])
		for i := begin; i < end; i++ {
			unsafe.Slice((*int64)(p[4]), d[0])[i] = [...]int64{2, 0, 1, 1}[numbers[i]+1]
			Floats(p[5], 2*d[0])[2*i], Floats(p[5], 2*d[0])[2*i+1] = float32(numbers[i]), Floats(p[3], d[0])[i]
		}
	}}, []float32{0}))
}
