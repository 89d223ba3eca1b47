// Package linked is the model that this module was built from: the compiler's data joined to its
// machine code.
package linked

import (
	"sync"
	"sync/atomic"

	"castiron.model/internal/data"
	"castiron.model/internal/engine"
	"castiron.model/internal/native"
)

// Model returns the compiler's data.
func Model() *engine.Model { return &data.Model }

// Engine returns the engine on this module's model. It fails if the processor or CASTIRON_ISA leaves
// no code to run.
func Engine() (*engine.Engine, error) {
	if e := ready.Load(); e != nil {
		return e, nil
	}
	return first()
}

// ready is the engine once it was asked for, nearer at hand than what sync.OnceValues keeps.
var ready atomic.Pointer[engine.Engine]

var first = sync.OnceValues(func() (*engine.Engine, error) {
	if err := native.Err(); err != nil {
		return nil, err
	}
	ready.Store(engine.New(&data.Model, engine.Native{
		Call:    native.Call,
		Weights: native.Weights(),
		Level:   native.Level,
		Levels:  native.Levels,
		Use:     native.Use,
	}))
	return ready.Load(), nil
})
