// Package linked is the model that this module was built from: the compiler's data joined to its
// machine code.
package linked

import (
	"sync"

	"castiron.model/internal/data"
	"castiron.model/internal/engine"
	"castiron.model/internal/native"
)

// Model returns the compiler's data.
func Model() *engine.Model { return &data.Model }

// Engine returns the engine on this module's model. It fails if the processor or CASTIRON_ISA leaves
// no code to run.
var Engine = sync.OnceValues(func() (*engine.Engine, error) {
	if err := native.Err(); err != nil {
		return nil, err
	}
	return engine.New(&data.Model, engine.Native{
		Call:    native.Call,
		Weights: native.Weights(),
		Level:   native.Level,
		Levels:  native.Levels,
		Use:     native.Use,
	}), nil
})
