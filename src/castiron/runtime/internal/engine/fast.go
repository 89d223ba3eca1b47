package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A runner runs the fast program: all inputs to all outputs.
type runner struct {
	*Program
	engine *Engine
	frames sync.Pool
	// spare is a frame that no run uses, nearer at hand than those of the pool.
	spare  atomic.Pointer[frame]
	layout layoutCache
	// later are the layouts of the stages behind the first.
	later []layoutCache
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
	for i, m := range p.Measured {
		if i == 0 || m.Step > p.Measured[i-1].Step {
			r.later = append(r.later, layoutCache{})
		}
	}
	r.flat = r.flatten()
	return r
}

func (r *runner) flatten() (f flat) {
	if len(r.engine.model.States)+len(r.Measured) > 0 || len(r.Inputs) != 1 || len(r.Outputs) != 1 || !r.direct[0] || r.Free() > 1 {
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
	rows := int64(1) // as often: a division takes as long as a small layer
	if int64(n) != f.row {
		rows = int64(n) / f.row
	}
	if rows*f.row != int64(n) || f.static && rows != 1 {
		return nil, &ShapeError{r.Inputs[0].Name, []int64{int64(n)}, r.shapeText(r.Buffers[f.input].Shape),
			fmt.Sprintf("the number of values must be a multiple of %d", f.row)}
	}
	if f.static {
		return r.layout.get(r.Program, nil, 0)
	}
	return r.layout.get(r.Program, []int64{rows}, 0)
}

var errNotFlat = errors.New("the model is not from one float32 tensor of rows to another: use Run")

// predict runs a flat model; the sizes of src and dst fit l.
func (r *runner) predict(l *layout, dst, src []float32) (err error) {
	frame := r.take()
	if r.isLong(l) {
		err = r.runPieces(frame, l, [][]byte{asBytes(src)}, [][]byte{asBytes(dst)})
	} else {
		frame.adopt(l)
		frame.table[r.flat.input] = address(asBytes(src))
		frame.table[r.flat.output] = address(asBytes(dst))
		r.engine.execute(r.Program, frame, l.calls, &l.symbols[0])
	}
	frame.table[r.flat.input], frame.table[r.flat.output] = nil, nil
	r.give(frame)
	return err
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
	l, err := r.layout.get(r.Program, symbols[:r.Free()], 0)
	if err != nil {
		return nil, err
	}
	frame := r.take()
	defer r.release(frame)
	outputs := make([]Tensor, len(r.Outputs))
	r.allocate(frame, l, 0, outputs)
	if r.isLong(l) {
		fed, made := make([][]byte, len(feeds)), make([][]byte, len(outputs))
		for i, f := range feeds {
			fed[i] = f.tensor.Data
		}
		for i, t := range outputs {
			made[i] = t.Data
		}
		if err := r.runPieces(frame, l, fed, made); err != nil {
			return nil, err
		}
		return r.named(outputs), nil
	}
	frame.adopt(l)
	for _, f := range feeds {
		frame.table[f.buffer] = address(f.tensor.Data)
	}
	r.engine.execute(r.Program, frame, l.calls, &l.symbols[0])
	for stage := range r.later {
		if err := r.measure(frame.table, stage, symbols); err != nil {
			return nil, err
		}
		if l, err = r.later[stage].get(r.Program, symbols[:r.Free()], stage+1); err != nil {
			return nil, err
		}
		frame.extend(l, stage)
		r.allocate(frame, l, stage+1, outputs)
		r.engine.execute(r.Program, frame, l.calls, &l.symbols[0])
	}
	for i, port := range r.Outputs {
		if !r.direct[i] {
			copy(outputs[i].Data, memory(frame.table[port.Buffer], int64(len(outputs[i].Data))))
		}
	}
	return r.named(outputs), nil
}

// named gives outputs their words and names of columns.
func (r *runner) named(outputs []Tensor) []Tensor {
	for i, port := range r.Outputs {
		outputs[i].spell(port.Words)
		outputs[i].Columns = port.Columns
	}
	return outputs
}

// allocate makes the outputs whose size is known from a stage on.
func (r *runner) allocate(f *frame, l *layout, stage int, outputs []Tensor) {
	for i, port := range r.Outputs {
		if b := &r.Buffers[port.Buffer]; int(b.Stage) == stage {
			outputs[i] = Tensor{DType: b.DType, Shape: slices.Clone(l.shapes[i]), Data: newBytes(l.bytes[i])}
			if r.direct[i] {
				f.table[port.Buffer] = address(outputs[i].Data)
			}
		}
	}
}

// measure reads the symbols that are known behind a stage.
func (p *Program) measure(table []unsafe.Pointer, stage int, symbols []int64) error {
	_, end := p.stage(stage)
	for i := range p.Measured {
		if m := &p.Measured[i]; int(m.Step) == end {
			if err := p.settle(m, *(*int64)(table[m.Buffer]), symbols); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle gives a measured symbol its value.
func (p *Program) settle(m *Measured, value int64, symbols []int64) error {
	switch s := &symbols[m.Symbol]; {
	case value < 0:
		return &SizeError{p.Symbols[m.Symbol], fmt.Sprintf("it %d", value)}
	case *s == unbound:
		*s = value
	case *s != value:
		return &ShapeError{p.Symbols[m.Symbol], []int64{*s}, []string{p.Symbols[m.Symbol]},
			fmt.Sprintf("the values fed make it %d", value)}
	}
	return nil
}

func (r *runner) take() *frame {
	if f := r.spare.Swap(nil); f != nil {
		return f
	}
	return r.frames.Get().(*frame)
}

func (r *runner) give(f *frame) {
	if !r.spare.CompareAndSwap(nil, f) {
		r.frames.Put(f)
	}
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
	r.give(f)
}
