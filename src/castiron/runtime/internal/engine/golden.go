package engine

import (
	"slices"
	"unsafe"
)

// Golden returns the inputs and expected outputs of an example, both in signature order and behind
// them the states. Their memory is constant.
func (e *Engine) Golden(g *Golden) (inputs, outputs []Tensor, err error) {
	p := e.model.Fast
	if inputs, err = e.constants(p.Inputs, g.Inputs, g.Symbols); err != nil {
		return nil, nil, err
	}
	outputs, err = e.constants(p.Outputs, g.Outputs, g.Symbols)
	return inputs, outputs, err
}

func (e *Engine) constants(ports []Port, offsets, free []int64) ([]Tensor, error) {
	p := e.model.Fast
	symbols := complete(p.Derived, free)
	tensors := make([]Tensor, len(ports))
	for i, port := range ports {
		b := &p.Buffers[port.Buffer]
		shape, bytes, ok := b.sizeOf(symbols)
		if !ok {
			return nil, p.sizeError(port.Name, port.Buffer, symbols)
		}
		tensors[i] = Tensor{DType: b.DType, Shape: shape, Data: memory(unsafe.Add(e.native.Weights, offsets[i]), bytes)}
		tensors[i].spell(port.Words)
	}
	return tensors, nil
}

// Free returns how many of the symbols stand for themselves.
func (s *Spec) Free() int { return len(s.Symbols) - len(s.Derived) }

// ShapeFor returns the dimensions of a value for given values of the free symbols; ok is false if they
// make no shape.
func (s *Spec) ShapeFor(free []int64) (shape []int64, ok bool) {
	b := Buffer{DType: s.DType, Shape: s.Shape}
	shape, _, ok = b.sizeOf(complete(s.Derived, free))
	return shape, ok
}

// complete adds the derived symbols to the free ones.
func complete(derived []Derived, free []int64) []int64 {
	symbols := append(slices.Clone(free), make([]int64, len(derived))...)
	derive(derived, symbols)
	return symbols
}
