// Package native calls the model's compiled steps.
//
// A step is a C function, compiled for every instruction-set level of the architecture and laid into
// the program as bytes; one level is chosen at start-up, the highest that the processor runs, or a
// lower one that the environment variable CASTIRON_ISA names. The compiler adds to this package the
// machine code (code_*.s), where the steps start in it (code_*.go) and the weights (weights_*.syso).
package native

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"
)

// A code is the machine code of one level: the step of index i starts at base + offsets[i].
type code struct {
	name    string
	base    uintptr
	offsets []uint32
}

var (
	all     []code // the binary's levels, lowest first
	chosen  code
	failure = fmt.Errorf("no model is compiled in for %s/%s", runtime.GOOS, runtime.GOARCH)

	weights     unsafe.Pointer
	weightBytes int64
)

// start is called once, by the code that the compiler adds, before main.
func start(levels []code, weightsAt unsafe.Pointer, weightsLen int64) {
	all, weights, weightBytes = levels, weightsAt, weightsLen
	if name := os.Getenv("CASTIRON_ISA"); name != "" {
		if failure = Use(name); failure != nil {
			failure = fmt.Errorf("CASTIRON_ISA: %w", failure)
		}
		return
	}
	failure = nil
	for i := len(all) - 1; i >= 0; i-- {
		if runs(all[i].name) {
			chosen = all[i]
			return
		}
	}
	failure = fmt.Errorf("this processor is too old: it does not run %s, the lowest instruction-set level of %s",
		all[0].name, runtime.GOARCH)
}

// Err tells why no step can be called: the processor is too old, CASTIRON_ISA names a level that
// cannot be used, or no model is compiled in for this platform. It is nil where all is well.
func Err() error { return failure }

// Levels lists the instruction-set levels of this binary that this processor runs, lowest first.
func Levels() []string {
	var names []string
	for _, l := range all {
		if runs(l.name) {
			names = append(names, l.name)
		}
	}
	return names
}

// Level is the instruction-set level in use, or "" if there is none.
func Level() string { return chosen.name }

// Use chooses an instruction-set level. It must not run at the same time as Call.
func Use(name string) error {
	for _, l := range all {
		if l.name != name {
			continue
		}
		if !runs(name) {
			return fmt.Errorf("this processor does not run instruction-set level %s; it runs %s",
				name, strings.Join(Levels(), ", "))
		}
		chosen = l
		return nil
	}
	return fmt.Errorf("there is no instruction-set level %q; this processor runs %s",
		name, strings.Join(Levels(), ", "))
}

// Weights is where the model's constants lie, at a multiple of 64 bytes. They cannot be written.
func Weights() unsafe.Pointer { return weights }

// WeightsSize is the size of the model's constants in bytes.
func WeightsSize() int64 { return weightBytes }

// Call runs the step of index entry over the tiles [begin, end). p points to the table of its
// buffers' addresses and d to the values of its symbols. What the table points to must be kept alive by
// the caller until Call returns, and must not lie on a goroutine's stack, for the call may move that.
//
// A call cannot be preempted and holds up the garbage collector while it runs. It panics if Err is
// not nil or there is no such step.
func Call(entry int32, p *unsafe.Pointer, d *int64, begin, end int64) {
	call(chosen.base+uintptr(chosen.offsets[entry]), p, d, begin, end)
}

// call calls the C function at fn with these arguments, on a stack of 15 KB aligned to 64 bytes, and
// with denormal numbers flushed to zero.
//
//go:noescape
func call(fn uintptr, p *unsafe.Pointer, d *int64, begin, end int64)
