package engine

import "sync/atomic"

// A call is one step for given values of the symbols.
type call struct {
	entry        int32
	step         int32
	tiles, chunk int64
	nanos        int64
	strip        bool
}

// A native call holds off the garbage collector, so it is cut short after about chunkNanos.
const (
	chunkNanos       = 100_000
	stripNanos       = 4_000_000 // the same of tiles that gain by being computed in one call
	defaultTileNanos = 1_000
)

func (s *Step) call(index int, symbols []int64) (call, bool) {
	rows, ok := s.Rows.eval(symbols)
	if !ok {
		return call{}, false
	}
	block := max(s.Block, 1)
	tiles := rows / block
	if rows%block != 0 {
		tiles++
	}
	tileNanos := s.TileNanos
	if tileNanos <= 0 {
		tileNanos = defaultTileNanos
	}
	nanos, ok := multiply(tiles, tileNanos, true)
	if !ok {
		nanos = 1 << 62
	}
	most := int64(chunkNanos)
	if s.Strip {
		most = stripNanos
	}
	return call{s.Entry, int32(index), tiles, max(most/tileNanos, 1), nanos, s.Strip}, true
}

// stage returns the steps of a stage.
func (p *Program) stage(stage int) (begin, end int) {
	begin, end = 0, len(p.Steps)
	for i, at := 0, -1; i < len(p.Measured); i++ {
		if step := int(p.Measured[i].Step); step > at {
			at = step
			if stage == 0 {
				return begin, step
			}
			begin = step
			stage--
		}
	}
	return begin, end
}

// A layout is all that follows from the values of the symbols.
type layout struct {
	// symbols, free and derived, has at least one element, so that it has an address.
	symbols []int64
	// offsets holds the place of each buffer in the arena, or -1.
	offsets []int64
	arena   int64
	calls   []call
	// shapes and bytes describe the outputs whose size the stage knows.
	shapes [][]int64
	bytes  []int64
}

const alignment = 64

// layoutOf places the buffers of a stage of p in the stage's arena. It computes the derived symbols.
func layoutOf(p *Program, symbols []int64, stage int) (*layout, error) {
	p.derive(symbols[:len(p.Symbols)])
	l := &layout{symbols: symbols, offsets: make([]int64, len(p.Buffers))}
	var slots []int64
	for i := range p.Buffers {
		b := &p.Buffers[i]
		if b.Slot < 0 || int(b.Stage) != stage {
			continue
		}
		_, bytes, ok := b.sizeOf(symbols)
		if !ok {
			return nil, p.sizeError(p.nameOf(int32(i)), int32(i), symbols)
		}
		for int(b.Slot) >= len(slots) {
			slots = append(slots, 0)
		}
		slots[b.Slot] = max(slots[b.Slot], bytes)
	}
	for i, bytes := range slots {
		slots[i] = l.arena
		l.arena += (bytes + alignment - 1) &^ (alignment - 1)
		if l.arena > maxElements {
			return nil, &SizeError{"intermediate values", tooLarge}
		}
	}
	for i := range p.Buffers {
		l.offsets[i] = -1
		if s := p.Buffers[i].Slot; s >= 0 && int(p.Buffers[i].Stage) == stage {
			l.offsets[i] = slots[s]
		}
	}
	l.shapes, l.bytes = make([][]int64, len(p.Outputs)), make([]int64, len(p.Outputs))
	for i, port := range p.Outputs {
		if int(p.Buffers[port.Buffer].Stage) != stage {
			continue
		}
		shape, bytes, ok := p.Buffers[port.Buffer].sizeOf(symbols)
		if !ok {
			return nil, p.sizeError(port.Name, port.Buffer, symbols)
		}
		l.shapes[i], l.bytes[i] = shape, bytes
	}
	begin, end := p.stage(stage)
	for i := begin; i < end; i++ {
		c, ok := p.Steps[i].call(i, symbols)
		if !ok {
			return nil, &SizeError{"a step's rows", tooLarge}
		}
		if c.tiles > 0 {
			l.calls = append(l.calls, c)
		}
	}
	return l, nil
}

// A layoutCache remembers the layouts of the last values of the free symbols, by a hash of them.
type layoutCache [16]atomic.Pointer[layout]

func (c *layoutCache) slot(symbols []int64) *atomic.Pointer[layout] {
	h := uint64(0)
	for _, s := range symbols {
		h = (h ^ uint64(s)) * 0x9E3779B97F4A7C15
	}
	return &c[h>>60]
}

func (c *layoutCache) get(p *Program, symbols []int64, stage int) (*layout, error) {
	slot := c.slot(symbols)
	if l := slot.Load(); l != nil && same(l.symbols, symbols) {
		return l, nil
	}
	kept := make([]int64, max(len(p.Symbols), 1))
	copy(kept, symbols)
	l, err := layoutOf(p, kept, stage)
	if err == nil {
		slot.Store(l)
	}
	return l, err
}

// same compares the values of the free symbols, which decide those that kept has behind them.
func same(kept, symbols []int64) bool {
	for i, s := range symbols {
		if kept[i] != s {
			return false
		}
	}
	return true
}

// nameOf names a buffer in errors.
func (p *Program) nameOf(buffer int32) string {
	for _, ports := range [][]Port{p.Inputs, p.Outputs} {
		for _, port := range ports {
			if port.Buffer == buffer {
				return port.Name
			}
		}
	}
	return "an intermediate value"
}
