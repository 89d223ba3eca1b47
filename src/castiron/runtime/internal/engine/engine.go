// Package engine runs a compiled model: it checks what is fed, lays out memory for the shapes at
// hand, and calls the compiled steps.
package engine

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// An Engine is a model ready to run. It is safe for concurrent use.
type Engine struct {
	model   *Model
	native  Native
	threads int
	// busy counts the processors that share runs, so that concurrent ones don't take more than there are.
	busy atomic.Int32
	fast *runner
	// initial are the states that a run begins with unless it continues another.
	initial []Tensor

	index sync.Once
	nodes map[string]node
}

// New returns an engine for a model whose code is native. It uses all processors that Go does.
func New(m *Model, native Native) *Engine {
	e := &Engine{model: m, native: native, threads: runtime.GOMAXPROCS(0)}
	e.fast = newRunner(e, m.Fast)
	e.initial = e.initialStates()
	return e
}

// SetThreads bounds the goroutines that share the work of one run. It must not be called during one.
func (e *Engine) SetThreads(n int) { e.threads = max(n, 1) }

// Model returns what the binary knows about the model it was built from.
func (e *Engine) Model() *Model { return e.model }

// Native returns the compiled code.
func (e *Engine) Native() *Native { return &e.native }

// A Spec describes a value that may be fed or fetched. Its dimensions are in Symbols, of
// which the last are Derived.
type Spec struct {
	Name, Label string
	DType       DType
	Shape       []Dim
	Symbols     []string
	Derived     []Derived
	// Words are those of strings, nil for other types. Columns are names of the last dimension's
	// elements, nil without such.
	Words   *Vocabulary
	Columns []string
	// Rows says that the first dimension is Symbols[0] and that rows are independent of one another
	// (see Program.RowWise).
	Rows bool
}

// ShapeText returns the dimensions as text, with names where they are free.
func (s *Spec) ShapeText() []string {
	text := make([]string, len(s.Shape))
	for i, d := range s.Shape {
		text[i] = d.Text(s.Symbols)
	}
	return text
}

func (p *Program) spec(name, label string, buffer int32, words *Vocabulary) Spec {
	b := &p.Buffers[buffer]
	s := Spec{Name: name, Label: label, DType: b.DType, Shape: b.Shape, Words: words, Symbols: p.Symbols, Derived: p.Derived}
	if words != nil {
		s.DType = String
	}
	if p.RowWise && len(b.Shape) > 0 {
		first, bare := b.Shape[0].Bare()
		s.Rows = bare && first == 0
	}
	return s
}

// Inputs describes the model's inputs in signature order.
func (e *Engine) Inputs() []Spec { return e.model.Fast.Specs(e.model.Inputs()) }

// Outputs describes the model's outputs in signature order.
func (e *Engine) Outputs() []Spec { return e.model.Fast.Specs(e.model.Outputs()) }

// Specs describes some ports of the program.
func (p *Program) Specs(ports []Port) []Spec {
	specs := make([]Spec, len(ports))
	for i, port := range ports {
		specs[i] = p.portSpec(port.Name, port)
	}
	return specs
}

func (p *Program) portSpec(name string, port Port) Spec {
	s := p.spec(name, port.Label, port.Buffer, port.Words)
	s.Columns = port.Columns
	return s
}

// Describe returns the value that a label or a signature name stands for. It fails with an
// *UnknownLabelError or, if the value can be neither fed nor fetched, a *NoValueError.
func (e *Engine) Describe(name string) (Spec, error) {
	n, err := e.find(name)
	if err != nil {
		return Spec{}, err
	}
	switch fast := e.model.Fast; {
	case n.input >= 0:
		return fast.portSpec(name, fast.Inputs[n.input]), nil
	case n.output >= 0:
		return fast.portSpec(name, fast.Outputs[n.output]), nil
	case n.fetched >= 0:
		return e.model.Trace.spec(name, e.traceName(n.fetched), n.fetched, n.words), nil
	}
	return Spec{}, e.noValue(name, n)
}

func (e *Engine) noValue(name string, n node) error {
	if e.model.Trace == nil {
		return &NoValueError{name, "is neither an input nor an output, and the binary was built with --no-trace"}
	}
	if n.label != nil {
		return &NoValueError{name, "(" + n.label.Op + ") has no value"}
	}
	return &NoValueError{name, "has no value in the trace program"}
}

// RunAll computes all outputs from all inputs, both in signature order, and from the initial states.
// Data is not copied unless its type must change.
func (e *Engine) RunAll(inputs []Tensor) ([]Tensor, error) {
	outputs, _, err := e.Step(inputs, e.initial)
	return outputs, err
}

// Step computes all outputs from all inputs, and from states what becomes of them.
func (e *Engine) Step(inputs, states []Tensor) (outputs, next []Tensor, err error) {
	own := e.model.Inputs()
	if len(inputs) < len(own) {
		var missing []string
		for _, port := range own[len(inputs):] {
			missing = append(missing, port.Name)
		}
		return nil, nil, &MissingInputError{missing}
	}
	if len(states) > 0 {
		inputs = slices.Concat(inputs[:len(own)], states)
	}
	all, err := e.fast.run(inputs)
	if err != nil {
		return nil, nil, err
	}
	n := len(e.model.Outputs())
	return all[:n:n], all[n:], nil
}

// Run computes the fetched values from those fed, both by label or signature name. It uses the fast
// program if the feeds are the model's inputs and the fetches are among its outputs, and otherwise
// the part of the trace program that is needed. A state that is not fed is initial.
func (e *Engine) Run(feeds map[string]Tensor, fetches []string) ([]Tensor, error) {
	return e.runFrom(e.initial, feeds, fetches, false)
}

// runFrom is Run from given states. With next, what becomes of them follows the fetched values.
func (e *Engine) runFrom(states []Tensor, feeds map[string]Tensor, fetches []string, next bool) ([]Tensor, error) {
	in := make(map[string]node, len(feeds))
	inputs := make([]Tensor, len(e.model.Fast.Inputs))
	covered, direct := 0, true
	for name, t := range feeds {
		n, err := e.find(name)
		if err != nil {
			return nil, err
		}
		if n.input >= 0 && inputs[n.input].Data == nil && inputs[n.input].Shape == nil {
			inputs[n.input] = t
			covered++
		} else {
			direct = false
		}
		in[name] = n
	}
	out := make([]node, len(fetches))
	for i, name := range fetches {
		n, err := e.find(name)
		if err != nil {
			return nil, err
		}
		direct = direct && n.output >= 0
		out[i] = n
	}
	if next {
		for i, port := range e.model.StateOutputs() {
			fetches = append(fetches[:len(fetches):len(fetches)], port.Name)
			out = append(out, e.outputNode(len(e.model.Outputs())+i))
		}
	}
	own := len(e.model.Inputs())
	for i, state := range states {
		if n := own + i; inputs[n].Data == nil && inputs[n].Shape == nil {
			inputs[n] = state
			covered++
		}
	}
	if direct && covered == len(inputs) {
		return e.runFast(inputs, out)
	}
	return e.runNamed(feeds, in, fetches, out, inputs)
}

func (e *Engine) runFast(inputs []Tensor, out []node) ([]Tensor, error) {
	all, err := e.fast.run(inputs)
	if err != nil {
		return nil, err
	}
	outputs := make([]Tensor, len(out))
	for i, n := range out {
		outputs[i] = all[n.output]
		if slices.ContainsFunc(out[:i], func(other node) bool { return other.output == n.output }) {
			outputs[i] = outputs[i].Clone()
		}
	}
	return outputs, nil
}

// runNamed runs the trace program.
func (e *Engine) runNamed(feeds map[string]Tensor, in map[string]node, fetches []string, out []node, inputs []Tensor) ([]Tensor, error) {
	if e.model.Trace == nil {
		return nil, e.whyNotFast(in, fetches, out, inputs)
	}
	var fed []feed
	for name, n := range in {
		if n.fed < 0 {
			return nil, e.noValue(name, n)
		}
		for _, other := range fed {
			if other.buffer == n.fed {
				return nil, &NoValueError{name, "is fed twice: it is the same value as " + other.name}
			}
		}
		fed = append(fed, feed{name, n.fed, feeds[name], n.words})
	}
	own := len(e.model.Inputs())
	for i, port := range e.model.Trace.Inputs[own:] {
		if !slices.ContainsFunc(fed, func(f feed) bool { return f.buffer == port.Buffer }) {
			fed = append(fed, feed{port.Name, port.Buffer, inputs[own+i], nil})
		}
	}
	slices.SortFunc(fed, func(a, b feed) int { return int(a.buffer - b.buffer) })
	buffers := make([]int32, len(out))
	for i, n := range out {
		if n.fetched < 0 {
			return nil, e.noValue(fetches[i], n)
		}
		buffers[i] = n.fetched
	}
	results, err := e.runTrace(fed, buffers)
	for i := range results {
		results[i].spell(out[i].words)
		if n := out[i].output; n >= 0 {
			results[i].Columns = e.model.Fast.Outputs[n].Columns
		}
	}
	return results, err
}

// whyNotFast returns the error of a binary without a trace program.
func (e *Engine) whyNotFast(in map[string]node, fetches []string, out []node, inputs []Tensor) error {
	for name, n := range in {
		if n.input < 0 {
			return e.noValue(name, n)
		}
	}
	for i, n := range out {
		if n.output < 0 {
			return e.noValue(fetches[i], n)
		}
	}
	var missing []string
	for i, port := range e.model.Fast.Inputs {
		if inputs[i].Data == nil && inputs[i].Shape == nil {
			missing = append(missing, port.Name)
		}
	}
	if missing == nil {
		return &NoValueError{e.model.Fast.Inputs[0].Name, "is fed twice"}
	}
	return &MissingInputError{missing}
}

// Predict runs a model from one float32 tensor to another on bare rows.
func (e *Engine) Predict(src []float32) ([]float32, error) {
	l, err := e.fast.layoutFor(len(src))
	if err != nil {
		return nil, err
	}
	dst := make([]float32, l.bytes[0]/4)
	return dst, e.fast.predict(l, dst, src)
}

// PredictInto is Predict with memory for the result, which must have its exact length.
func (e *Engine) PredictInto(dst, src []float32) error {
	l, err := e.fast.layoutFor(len(src))
	if err != nil {
		return err
	}
	if int64(len(dst)) != l.bytes[0]/4 {
		port := e.model.Fast.Outputs[0]
		return &ShapeError{port.Name, []int64{int64(len(dst))}, e.fast.shapeText(e.fast.Buffers[port.Buffer].Shape),
			"the destination must hold " + ShapeText([]int64{l.bytes[0] / 4}) + " values"}
	}
	return e.fast.predict(l, dst, src)
}
