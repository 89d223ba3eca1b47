package engine

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// A run has so many workers that each is worth waking a thread for, which takes some crewNanos; and a call among these
// as many as there are portions of portionNanos, since they wait for nothing else.
const (
	crewNanos    = 200_000
	portionNanos = 10_000
)

// A worker that finds nothing to do looks again so often, some 300 µs long, before it leaves: as long as most steps that
// one worker computes alone.
const patience = 20_000

// A crew is the other workers of a run: goroutines that join whatever call is under way. They stay from call to call,
// since it takes longer to wake a thread than many a call takes.
type crew struct {
	// idle are the operand tables that no worker uses, each with a scratch of its own, of those made. Tired are
	// those of workers that got nothing done, as on a processor that others keep busy: they come back in the next run.
	idle, tired chan member
	made        int
}

// A member is a worker's number, from 1, and its operand table.
type member struct {
	number int
	table  []unsafe.Pointer
}

// A job is one call whose tiles are shared. Every worker has a range of them, and takes from those of others when its
// own is done, so that from call to call the same rows stay with one processor. A tile's result does not depend on who
// computes it.
type job struct {
	*call
	symbols *int64
	ranges  []atomic.Int64 // how many tiles of each range are taken
	done    atomic.Int64   // how many of all are computed
}

// workers returns how many may share the calls.
func (e *Engine) workers(calls []call) int64 {
	if e.threads == 1 {
		return 1
	}
	most, nanos := int64(e.threads)*crewNanos, int64(0)
	for i := range calls {
		if c := &calls[i]; c.tiles > 1 && c.nanos >= 2*portionNanos {
			if nanos += min(c.nanos, most); nanos >= most {
				return int64(e.threads)
			}
		}
	}
	return nanos / crewNanos
}

// share is execute with so many workers.
func (e *Engine) share(p *Program, f *frame, calls []call, symbols *int64, most int64) {
	for len(f.crew.tired) > 0 {
		f.crew.idle <- <-f.crew.tired
	}
	jobs := make([]job, len(calls))
	var current atomic.Pointer[job]
	e.busy.Add(1)
	operands := unsafe.SliceData(f.table)
	for i := range calls {
		c, j := &calls[i], &jobs[i]
		workers := min(most, c.tiles, c.nanos/portionNanos)
		if workers < 2 {
			e.perform(c, operands, symbols)
			continue
		}
		j.call, j.symbols, j.ranges = c, symbols, make([]atomic.Int64, workers)
		current.Store(j)
		e.recruit(p, f, int(workers)-1, &current)
		j.work(e, 0, operands)
		for turn := 0; j.done.Load() < c.tiles; turn++ {
			if turn < patience {
				pause()
			} else { // whoever is not done may need this very processor
				time.Sleep(time.Microsecond)
			}
		}
	}
	current.Store(nil)
	e.busy.Add(-1)
}

// recruit has up to n other workers follow the current job, if there are processors for them.
func (e *Engine) recruit(p *Program, f *frame, n int, current *atomic.Pointer[job]) {
	if f.crew.idle == nil {
		f.crew.idle, f.crew.tired = make(chan member, e.threads), make(chan member, e.threads)
	}
	for f.crew.made < min(n, cap(f.crew.idle)) {
		f.crew.made++
		table := make([]unsafe.Pointer, len(f.table))
		table[ScratchBuffer] = address(aligned(p.ScratchBytes))
		f.crew.idle <- member{f.crew.made, table}
	}
	for f.crew.made-len(f.crew.idle)-len(f.crew.tired) < n && len(f.crew.idle) > 0 && int(e.busy.Load()) < e.threads {
		m := <-f.crew.idle
		table := m.table[ScratchBuffer+1:]
		copy(table, f.table[ScratchBuffer+1:])
		m.table[WeightsBuffer] = f.table[WeightsBuffer]
		e.busy.Add(1)
		here := processor()
		go func() {
			useful := false
			elsewhere(here, func() { useful = e.follow(m, current) })
			clear(table)
			if useful {
				f.crew.idle <- m
			} else {
				f.crew.tired <- m
			}
			e.busy.Add(-1)
		}()
	}
}

// follow works on each job until there are no more, or none comes for long, or another run needs the processor. It
// returns whether it computed anything.
func (e *Engine) follow(m member, current *atomic.Pointer[job]) (useful bool) {
	var last *job
	for turn := 0; turn < patience; turn++ {
		j := current.Load()
		switch {
		case j == nil || int(e.busy.Load()) > e.threads:
			return useful
		case j == last:
			pause()
		default:
			if m.number < len(j.ranges) {
				useful = j.work(e, m.number, unsafe.SliceData(m.table)) || useful
			}
			last, turn = j, 0
		}
	}
	return useful
}

// work computes tiles until all are taken: first of the range of that number, then of the others. It returns whether
// there were any.
func (j *job) work(e *Engine, number int, operands *unsafe.Pointer) (some bool) {
	count := int64(len(j.ranges))
	for i := range count {
		n := (int64(number) + i) % count
		first, size := j.tiles*n/count, j.tiles*(n+1)/count-j.tiles*n/count
		for taken := j.ranges[n].Load(); taken < size; taken = j.ranges[n].Load() {
			portion := size - taken
			if !j.strip {
				portion = (portion + 1) / 2
			}
			portion = min(portion, j.chunk)
			if j.ranges[n].CompareAndSwap(taken, taken+portion) {
				e.native.Call(j.entry, operands, j.symbols, first+taken, first+taken+portion)
				j.done.Add(portion)
				some = true
			}
		}
	}
	return some
}
