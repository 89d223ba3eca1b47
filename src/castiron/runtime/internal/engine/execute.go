package engine

import "unsafe"

// A Native is the compiled code that a model runs on.
type Native struct {
	// Call runs tiles begin to end of the function at entry, on the operands p and the values d of
	// the symbols.
	Call func(entry int32, p *unsafe.Pointer, d *int64, begin, end int64)
	// Weights is the address of the constants.
	Weights unsafe.Pointer
	// Level tells the instruction set in use, and Levels all that this processor can run, lowest
	// first. Use changes to one of them; no call may be under way.
	Level  func() string
	Levels func() []string
	Use    func(level string) error
}

// A frame is the memory of one run: operands, arena, scratch. It is used by one run at a time.
type frame struct {
	table   []unsafe.Pointer
	scratch []byte
	arena   []byte
	// later are the arenas of the stages behind the first.
	later [][]byte
	// layout is the one whose places of the arena the table holds.
	layout *layout
	// crew has what other workers need to share the calls of the run.
	crew crew
}

// nowhere stands for the memory of tensors that have no elements.
var nowhere [alignment]byte

// address returns where data is; never nil.
func address(data []byte) unsafe.Pointer {
	if len(data) == 0 {
		return unsafe.Pointer(&nowhere)
	}
	return unsafe.Pointer(unsafe.SliceData(data))
}

// aligned returns memory for n bytes of which the first is at a multiple of the alignment.
func aligned(n int64) (memory []byte) {
	memory = make([]byte, n+alignment-1)
	skip := -uintptr(address(memory)) % alignment
	return memory[skip : int64(skip)+n]
}

func newFrame(p *Program, weights unsafe.Pointer) *frame {
	f := &frame{table: make([]unsafe.Pointer, max(len(p.Buffers), ScratchBuffer+1))}
	for i := range p.Buffers {
		if at := p.Buffers[i].Const; at >= 0 {
			f.table[i] = unsafe.Add(weights, at)
		}
	}
	f.table[WeightsBuffer] = weights
	f.scratch = aligned(p.ScratchBytes)
	f.table[ScratchBuffer] = address(f.scratch)
	return f
}

// spareArena is how much larger than needed an arena may be and still be kept.
const spareArena = 64 << 20

// adopt points the table to the places of l in the arena.
func (f *frame) adopt(l *layout) {
	if f.layout == l {
		return
	}
	f.place(&f.arena, l)
	f.layout = l
}

// extend is adopt for a stage behind the first, counted from 0.
func (f *frame) extend(l *layout, stage int) {
	for len(f.later) <= stage {
		f.later = append(f.later, nil)
	}
	f.place(&f.later[stage], l)
}

func (f *frame) place(arena *[]byte, l *layout) {
	if n := int64(len(*arena)); n < l.arena || n > 4*l.arena+spareArena {
		*arena = nil
		*arena = aligned(l.arena)
		preferLargePages(*arena)
	}
	base := address(*arena)
	for i, offset := range l.offsets {
		if offset >= 0 {
			f.table[i] = unsafe.Add(base, offset)
		}
	}
}

// execute runs the calls in order on the frame's operands.
func (e *Engine) execute(p *Program, f *frame, calls []call, symbols *int64) {
	if most := e.workers(calls); most > 1 {
		e.share(p, f, calls, symbols, most)
		return
	}
	operands := unsafe.SliceData(f.table)
	for i := range calls {
		e.perform(&calls[i], operands, symbols)
	}
}

// perform runs all tiles of one call.
func (e *Engine) perform(c *call, operands *unsafe.Pointer, symbols *int64) {
	for begin := int64(0); begin < c.tiles; begin += c.chunk {
		e.native.Call(c.entry, operands, symbols, begin, min(begin+c.chunk, c.tiles))
	}
}
