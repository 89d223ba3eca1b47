package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// A runner runs the fast program: all inputs to all outputs.
type runner struct {
	*Program
	engine *Engine
	frames sync.Pool
	layout layoutCache
	// direct says of each output that steps write it straight into the caller's tensor.
	direct []bool
	flat   flat
}

// flat describes a model from one float32 tensor to another whose only symbol, if any, is the first
// dimension: it can be called with bare slices.
type flat struct {
	ok            bool
	input, output int32
	// row is the number of elements for each unit of the symbol; static says that there is none.
	row    int64
	static bool
}

func newRunner(e *Engine, p *Program) *runner {
	r := &runner{Program: p, engine: e}
	r.frames.New = func() any { return newFrame(p, e.native.Weights) }
	written := make(map[int32]bool)
	for _, port := range p.Inputs {
		written[port.Buffer] = true
	}
	for _, port := range p.Outputs {
		b := &p.Buffers[port.Buffer]
		r.direct = append(r.direct, b.Slot < 0 && b.Const < 0 && !written[port.Buffer])
		written[port.Buffer] = true
	}
	r.flat = r.flatten()
	return r
}

func (r *runner) flatten() (f flat) {
	if len(r.engine.model.States) > 0 || len(r.Inputs) != 1 || len(r.Outputs) != 1 || !r.direct[0] || r.Free() > 1 {
		return f
	}
	f.input, f.output = r.Inputs[0].Buffer, r.Outputs[0].Buffer
	in, out := &r.Buffers[f.input], &r.Buffers[f.output]
	if in.DType != F32 || out.DType != F32 {
		return f
	}
	shape := in.Shape
	f.static = len(r.Symbols) == 0
	if !f.static {
		if len(shape) == 0 {
			return f
		}
		if _, bare := shape[0].Bare(); !bare {
			return f
		}
		shape = shape[1:]
	}
	f.row = 1
	ok := true
	for _, d := range shape {
		n, static := d.Static()
		f.row, ok = multiply(f.row, n, ok && static)
	}
	f.ok = ok && f.row > 0
	return f
}

// layoutFor returns the layout for n input elements.
func (r *runner) layoutFor(n int) (*layout, error) {
	f := &r.flat
	if !f.ok {
		return nil, errNotFlat
	}
	rows := int64(n) / f.row
	if rows*f.row != int64(n) || f.static && rows != 1 {
		return nil, &ShapeError{r.Inputs[0].Name, []int64{int64(n)}, r.shapeText(r.Buffers[f.input].Shape),
			fmt.Sprintf("the number of values must be a multiple of %d", f.row)}
	}
	if f.static {
		return r.layout.get(r.Program, nil)
	}
	return r.layout.get(r.Program, []int64{rows})
}

var errNotFlat = errors.New("the model is not from one float32 tensor of rows to another: use Run")

// predict runs a flat model; the sizes of src and dst fit l.
func (r *runner) predict(l *layout, dst, src []float32) {
	frame := r.frames.Get().(*frame)
	frame.adopt(l)
	frame.table[r.flat.input] = address(asBytes(src))
	frame.table[r.flat.output] = address(asBytes(dst))
	r.engine.execute(r.Program, frame, l.calls, &l.symbols[0])
	r.release(frame)
}

// run computes all outputs from all inputs, in signature order.
func (r *runner) run(inputs []Tensor) ([]Tensor, error) {
	feeds := make([]feed, len(inputs))
	for i, port := range r.Inputs {
		t, err := admit(port.Name, inputs[i], port.Words, r.Buffers[port.Buffer].DType)
		if err != nil {
			return nil, err
		}
		feeds[i] = feed{name: port.Name, buffer: port.Buffer, tensor: t}
	}
	symbols, err := r.bind(feeds)
	if err != nil {
		return nil, err
	}
	l, err := r.layout.get(r.Program, symbols[:r.Free()])
	if err != nil {
		return nil, err
	}
	frame := r.frames.Get().(*frame)
	frame.adopt(l)
	for _, f := range feeds {
		frame.table[f.buffer] = address(f.tensor.Data)
	}
	outputs := make([]Tensor, len(r.Outputs))
	for i, port := range r.Outputs {
		outputs[i] = Tensor{DType: r.Buffers[port.Buffer].DType, Shape: slices.Clone(l.shapes[i]), Data: newBytes(l.bytes[i])}
		if r.direct[i] {
			frame.table[port.Buffer] = address(outputs[i].Data)
		}
	}
	r.engine.execute(r.Program, frame, l.calls, &l.symbols[0])
	for i, port := range r.Outputs {
		if !r.direct[i] {
			copy(outputs[i].Data, memory(frame.table[port.Buffer], l.bytes[i]))
		}
		outputs[i].spell(port.Words)
		outputs[i].Columns = port.Columns
	}
	r.release(frame)
	return outputs, nil
}

// release forgets the callers' tensors and keeps the rest of the frame for the next run.
func (r *runner) release(f *frame) {
	for _, port := range r.Inputs {
		f.table[port.Buffer] = nil
	}
	for i, port := range r.Outputs {
		if r.direct[i] {
			f.table[port.Buffer] = nil
		}
	}
	for _, table := range f.helpers {
		clear(table[ScratchBuffer+1:])
	}
	r.frames.Put(f)
}
