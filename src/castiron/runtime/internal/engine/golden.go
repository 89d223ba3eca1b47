package engine

import "unsafe"

// Golden returns the inputs and expected outputs of an example, both in signature order. Their
// memory is constant.
func (e *Engine) Golden(g *Golden) (inputs, outputs []Tensor, err error) {
	p := e.model.Fast
	if inputs, err = e.constants(p.Inputs, g.Inputs, g.Symbols); err != nil {
		return nil, nil, err
	}
	outputs, err = e.constants(p.Outputs, g.Outputs, g.Symbols)
	return inputs, outputs, err
}

func (e *Engine) constants(ports []Port, offsets, symbols []int64) ([]Tensor, error) {
	tensors := make([]Tensor, len(ports))
	for i, port := range ports {
		b := &e.model.Fast.Buffers[port.Buffer]
		shape, bytes, ok := b.sizeOf(symbols)
		if !ok {
			return nil, &SizeError{port.Name}
		}
		tensors[i] = Tensor{b.DType, shape, memory(unsafe.Add(e.native.Weights, offsets[i]), bytes)}
	}
	return tensors, nil
}

// ShapeFor returns the dimensions of a value for given values of its symbols; ok is false if they
// make no shape.
func (s *Spec) ShapeFor(symbols []int64) (shape []int64, ok bool) {
	b := Buffer{DType: s.DType, Shape: s.Shape}
	shape, _, ok = b.sizeOf(symbols)
	return shape, ok
}
