package model

import (
	"slices"

	"castiron.model/internal/engine"
	"castiron.model/internal/linked"
)

// An Operation is a node of the model's graph.
type Operation struct {
	// Label names the node, as in "sequential/out/MatMul".
	Label string
	// Op is the operator, as in "MatMul".
	Op string
	// DType is the type of the node's value, as in "float32".
	DType string
	// Shape has a number for each dimension, or an expression where it is free: "batch".
	Shape []string
	// Role is "input", "output", "state" or "".
	Role string
}

// A Port is an input or output of the model.
type Port struct {
	// Name is the signature's, Label the graph's.
	Name, Label string
	DType       string
	Shape       []string
	// Words are the strings that the model tells apart, of an input; of an output all that it may hold.
	// They are nil for types other than "string".
	Words []string
	// Columns are names of the last dimension's elements, nil without such.
	Columns []string
}

// Name returns the model's name.
func Name() string { return linked.Model().Name }

// Digest returns the SHA-256 of the file that the model was compiled from, in hex.
func Digest() string { return linked.Model().Digest }

// Operations lists the nodes of the model's graph, in the order of its source.
func Operations() []Operation {
	labels := linked.Model().Labels
	operations := make([]Operation, len(labels))
	for i := range labels {
		l := &labels[i]
		operations[i] = Operation{l.Name, l.Op, l.DType.String(), slices.Clone(l.Shape), l.Role}
		if l.Words != nil {
			operations[i].DType = engine.String.String()
		}
	}
	return operations
}

// Inputs lists the model's inputs in signature order.
func Inputs() []Port {
	m := linked.Model()
	return portsOf(m.Fast, m.Inputs())
}

// Outputs lists the model's outputs in signature order.
func Outputs() []Port {
	m := linked.Model()
	return portsOf(m.Fast, m.Outputs())
}

func portsOf(p *engine.Program, ports []engine.Port) []Port {
	list := make([]Port, len(ports))
	for i, port := range ports {
		b := &p.Buffers[port.Buffer]
		shape := make([]string, len(b.Shape))
		for j, d := range b.Shape {
			shape[j] = d.Text(p.Symbols)
		}
		list[i] = Port{Name: port.Name, Label: port.Label, DType: b.DType.String(), Shape: shape, Columns: slices.Clone(port.Columns)}
		if port.Words != nil {
			list[i].DType, list[i].Words = engine.String.String(), slices.Clone(port.Words.Words)
		}
	}
	return list
}

// Run computes the fetched values from the fed ones, and returns them in the order of fetches. Both
// are named by a node's label, or an input's or output's name in the signature.
//
// A feed takes the place of the node's own value, and only what the fetches need is computed: so an
// inner value may be fed instead of the inputs, and inputs that are not needed may be left out.
// Feeds are not copied unless their type must change; they must not be written to during the call.
func Run(feeds map[string]*Tensor, fetches []string) ([]*Tensor, error) {
	e, err := linked.Engine()
	if err != nil {
		return nil, err
	}
	fed, err := unwrap(feeds)
	if err != nil {
		return nil, err
	}
	results, err := e.Run(fed, fetches)
	if err != nil {
		return nil, err
	}
	return wrap(results), nil
}

func unwrap(feeds map[string]*Tensor) (map[string]engine.Tensor, error) {
	fed := make(map[string]engine.Tensor, len(feeds))
	for name, t := range feeds {
		if t == nil {
			return nil, &MissingInputError{Inputs: []string{name}}
		}
		fed[name] = t.tensor
	}
	return fed, nil
}

// Predict computes the output of a model that has one float32 input and one float32 output, from
// rows that follow one another in x: as many as len(x) holds.
func Predict(x []float32) ([]float32, error) {
	e, err := linked.Engine()
	if err != nil {
		return nil, err
	}
	return e.Predict(x)
}

// PredictInto is [Predict] without allocating: dst must have the exact length of the result, and may
// not overlap x.
func PredictInto(dst, x []float32) error {
	e, err := linked.Engine()
	if err != nil {
		return err
	}
	return e.PredictInto(dst, x)
}

// SetThreads bounds the goroutines that share the work of one call; by default all that
// runtime.GOMAXPROCS allows. Results do not depend on it. It must not be called while the model runs.
func SetThreads(n int) error {
	e, err := linked.Engine()
	if err == nil {
		e.SetThreads(n)
	}
	return err
}
