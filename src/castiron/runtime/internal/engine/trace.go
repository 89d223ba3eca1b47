package engine

import "slices"

// runTrace computes any buffers of the trace program from any others. It runs only the steps that the
// fetches need and the feeds do not replace; each value gets memory of its own.
func (e *Engine) runTrace(feeds []feed, fetches []int32) ([]Tensor, error) {
	p := e.model.Trace
	for i := range feeds {
		f := &feeds[i]
		t, err := admit(f.name, f.tensor, f.words, p.Buffers[f.buffer].DType)
		if err != nil {
			return nil, err
		}
		f.tensor = t
	}
	symbols, mismatch := p.bind(feeds)
	need, err := p.prune(feeds, fetches, symbols, e.traceName)
	if err == nil {
		err = mismatch
	}
	if err != nil {
		return nil, err
	}
	frame := newFrame(p, e.native.Weights)
	values := make(map[int32]Tensor)
	for _, f := range feeds {
		values[f.buffer] = f.tensor
		frame.table[f.buffer] = address(f.tensor.Data)
	}
	// The steps see a zero for a symbol that nothing tells; needed buffers do not depend on it.
	known := make([]int64, max(len(symbols), 1))
	for i, s := range symbols {
		if s != unbound {
			known[i] = s
		}
	}
	counts := p.counted(need, values)
	if err := p.settleAll(frame, symbols, known, counts); err != nil {
		return nil, err
	}
	for _, step := range need {
		if err := e.runStep(step, frame, symbols, known, values); err != nil {
			return nil, err
		}
		if err := p.settleAll(frame, symbols, known, p.Steps[step].Writes); err != nil {
			return nil, err
		}
	}
	outputs := make([]Tensor, len(fetches))
	for i, b := range fetches {
		t, ok := values[b]
		if !ok {
			if t, err = p.constant(b, frame, symbols); err != nil {
				return nil, err
			}
		}
		outputs[i] = t
		if fed := slices.ContainsFunc(feeds, func(f feed) bool { return f.buffer == b }); fed || slices.Contains(fetches[:i], b) {
			outputs[i] = t.Clone()
		}
	}
	return outputs, nil
}

// counted returns the buffers of measured symbols that are there before the first step: fed, or constant
// and not computed again.
func (p *Program) counted(steps []int, values map[int32]Tensor) []int32 {
	var found []int32
	for i := range p.Measured {
		b := p.Measured[i].Buffer
		again := slices.ContainsFunc(steps, func(s int) bool { return slices.Contains(p.Steps[s].Writes, b) })
		if _, fed := values[b]; fed || p.Buffers[b].Const >= 0 && !again {
			found = append(found, b)
		}
	}
	return found
}

// settleAll gives the symbols their values that are counted in the given buffers.
func (p *Program) settleAll(frame *frame, symbols, known []int64, counts []int32) error {
	for i := range p.Measured {
		m := &p.Measured[i]
		if !slices.Contains(counts, m.Buffer) {
			continue
		}
		if err := p.settle(m, *(*int64)(frame.table[m.Buffer]), symbols); err != nil {
			return err
		}
		p.derive(symbols)
		for i, s := range symbols {
			if s != unbound {
				known[i] = s
			}
		}
	}
	return nil
}

// runStep runs one step of the trace program, and keeps what it writes in values.
func (e *Engine) runStep(index int, frame *frame, symbols, known []int64, values map[int32]Tensor) error {
	p := e.model.Trace
	step := &p.Steps[index]
	var fed []int32
	for _, w := range step.Writes {
		t, err := p.allocate(w, symbols)
		if err != nil {
			return err
		}
		if _, ok := values[w]; ok {
			// A fed value beside another result of the same step: the computed one is dropped.
			fed = append(fed, w)
		} else {
			values[w] = t
		}
		frame.table[w] = address(t.Data)
	}
	c, ok := step.call(index, known)
	if !ok {
		return &SizeError{p.nameOf(step.Writes[0]), tooLarge}
	}
	e.execute(p, frame, []call{c}, &known[0])
	for _, w := range fed {
		frame.table[w] = address(values[w].Data)
	}
	return nil
}

// prune returns the steps that the fetches need, in order. A *MissingInputError names what they need
// and cannot compute.
func (p *Program) prune(feeds []feed, fetches []int32, symbols []int64, name func(int32) string) ([]int, error) {
	fed := make([]bool, len(p.Buffers))
	for _, f := range feeds {
		fed[f.buffer] = true
	}
	// A constant that was folded at compile time is computed again if a feed changed what it is
	// made of.
	changed := slices.Clone(fed)
	for i := range p.Steps {
		for _, r := range p.Steps[i].Reads {
			if changed[r] {
				for _, w := range p.Steps[i].Writes {
					changed[w] = true
				}
				break
			}
		}
	}
	known := func(b int32) bool { return fed[b] || p.Buffers[b].Const >= 0 && !changed[b] }

	need := make([]bool, len(p.Buffers))
	for _, b := range fetches {
		need[b] = true
	}
	var steps []int
	for i := len(p.Steps) - 1; i >= 0; i-- {
		wanted := false
		for _, w := range p.Steps[i].Writes {
			wanted = wanted || need[w] && !known(w)
		}
		if wanted {
			steps = append(steps, i)
			for _, r := range p.Steps[i].Reads {
				need[r] = true
			}
			for _, w := range p.Steps[i].Waits {
				if m := &p.Measured[w]; symbols == nil || symbols[m.Symbol] == unbound {
					need[m.Buffer] = true
				}
			}
		}
	}
	slices.Reverse(steps)

	var missing []string
	for i := range need {
		if b := int32(i); need[b] && !known(b) && p.Buffers[b].Producer < 0 {
			missing = append(missing, name(b))
		}
	}
	if missing != nil {
		return nil, &MissingInputError{missing}
	}
	return steps, nil
}

// allocate returns a tensor for a buffer.
func (p *Program) allocate(buffer int32, symbols []int64) (Tensor, error) {
	b := &p.Buffers[buffer]
	for _, d := range b.Shape {
		for _, t := range d {
			for _, s := range t.Syms {
				if symbols[s] == unbound {
					return Tensor{}, &MissingInputError{[]string{"a value whose shape tells " + p.Symbols[s]}}
				}
			}
		}
	}
	shape, bytes, ok := b.sizeOf(symbols)
	if !ok {
		return Tensor{}, p.sizeError(p.nameOf(buffer), buffer, symbols)
	}
	return Tensor{DType: b.DType, Shape: shape, Data: newBytes(bytes)}, nil
}

// constant returns a copy of a constant.
func (p *Program) constant(buffer int32, frame *frame, symbols []int64) (Tensor, error) {
	t, err := p.allocate(buffer, symbols)
	if err == nil {
		copy(t.Data, memory(frame.table[buffer], int64(len(t.Data))))
	}
	return t, err
}
