package codec

import (
	"fmt"
	"slices"
	"strings"

	"castiron.model/internal/engine"
)

// A Request is the body of TensorFlow Serving's predict call, as JSON.
type Request struct {
	// Signature is the value of signature_name, "" without one.
	Signature string
	// Rows says that the feeds came in row form, as "instances", and not in column form, as "inputs".
	Rows bool
	// Feeds holds tensors by the names in the request. The tensor of a request without names is the
	// sole input's.
	Feeds map[string]engine.Tensor
	// Session is the value of session, which TensorFlow Serving does not have; "" without one.
	Session string
	// Fetches lists the labels under "fetch", which TensorFlow Serving does not have; nil without it.
	Fetches []string
}

// A Finder describes the value that a name stands for.
type Finder func(name string) (engine.Spec, error)

// ParseRequest reads a request to the model with the given inputs. Keys that mean nothing are
// ignored.
func ParseRequest(body []byte, inputs []engine.Spec, find Finder) (*Request, error) {
	s := &scanner{data: body}
	f := &feeder{scanner: s, inputs: inputs, find: find}
	r := &Request{}
	if c := s.peek(); c != '{' {
		return nil, s.fault("%s where an object was expected", s.found())
	}
	err := s.members(func(key string) (err error) {
		switch key {
		case "signature_name":
			r.Signature, err = s.text()
		case "session":
			if r.Session, err = s.text(); err == nil && r.Session == "" {
				err = s.fault("the name of a session is empty")
			}
		case "fetch":
			r.Fetches, err = s.names()
		case "instances", "inputs":
			if r.Feeds != nil {
				return s.fault("not both of 'instances' and 'inputs', and each only once")
			}
			r.Rows = key == "instances"
			if r.Rows {
				r.Feeds, err = f.instances()
			} else {
				r.Feeds, err = f.columns()
			}
		default:
			err = s.skip()
		}
		return err
	})
	if err == nil && s.peek() != 0 {
		err = s.fault("%s after the request's end", s.found())
	}
	if err == nil && r.Feeds == nil {
		err = fmt.Errorf("Missing 'inputs' or 'instances' key")
	}
	return r, err
}

// names reads an array of strings.
func (s *scanner) names() ([]string, error) {
	list := []string{}
	err := s.elements(func() error {
		name, err := s.text()
		list = append(list, name)
		return err
	})
	return list, err
}

// A feeder reads tensors for named inputs.
type feeder struct {
	*scanner
	inputs []engine.Spec
	find   Finder
}

// sole returns the input that a tensor without a name is for.
func (f *feeder) sole() (engine.Spec, error) {
	if len(f.inputs) == 1 {
		return f.inputs[0], nil
	}
	names := make([]string, len(f.inputs))
	for i, in := range f.inputs {
		names[i] = in.Name
	}
	return engine.Spec{}, f.fault("the model has %d inputs: give an object with the names %s",
		len(f.inputs), strings.Join(names, ", "))
}

// named reads one tensor for a name.
func (f *feeder) named(name string) (engine.Tensor, error) {
	spec, err := f.find(name)
	if err != nil {
		return engine.Tensor{}, err
	}
	return f.value(spec)
}

func (f *feeder) value(spec engine.Spec) (engine.Tensor, error) {
	t, err := f.tensor(spec.DType, spec.Words)
	if err != nil {
		err = fmt.Errorf("%s: %w", spec.Name, err)
	}
	return t, err
}

// unnamed reads the tensor of the sole input.
func (f *feeder) unnamed() (map[string]engine.Tensor, error) {
	spec, err := f.sole()
	if err != nil {
		return nil, err
	}
	t, err := f.value(spec)
	if len(t.Shape) == 1 && t.Shape[0] == 0 {
		t.Shape = noRows(spec)
	}
	return map[string]engine.Tensor{spec.Name: t}, err
}

// noRows returns the shape of a tensor without rows, which JSON writes as [].
func noRows(spec engine.Spec) []int64 {
	shape := make([]int64, max(len(spec.Shape), 1))
	for i := 1; i < len(shape); i++ {
		shape[i], _ = spec.Shape[i].Static()
	}
	return shape
}

// columns reads one tensor, or an object of a tensor for each name.
func (f *feeder) columns() (map[string]engine.Tensor, error) {
	if f.peek() != '{' {
		return f.unnamed()
	}
	feeds := make(map[string]engine.Tensor)
	return feeds, f.members(func(name string) error {
		if _, twice := feeds[name]; twice {
			return f.fault("%q stands twice", name)
		}
		t, err := f.named(name)
		feeds[name] = t
		return err
	})
}

// instances reads an array of rows: all of them arrays or numbers for the sole input, or all of them
// objects with a value for each name.
func (f *feeder) instances() (map[string]engine.Tensor, error) {
	if !f.rowObjects() {
		if f.peek() != '[' {
			return nil, f.fault("%s where an array of rows was expected", f.found())
		}
		return f.unnamed()
	}
	rows := make(stacks)
	count := 0
	err := f.elements(func() error {
		count++
		if err := f.members(func(name string) error {
			t, err := f.named(name)
			if err == nil && !rows.push(name, t, count) {
				err = f.fault("instance %d: %q has another shape than before, or stands twice", count, name)
			}
			return err
		}); err != nil {
			return err
		}
		if name, short := rows.short(count); short {
			return f.fault("instance %d and the others have not the same names: see %q", count, name)
		}
		return nil
	})
	return rows.tensors(), err
}

// rowObjects tells whether an array comes whose first element is an object.
func (f *feeder) rowObjects() bool {
	if f.peek() != '[' {
		return false
	}
	at := f.at
	f.at++
	c := f.peek()
	f.at = at
	return c == '{'
}

// stacks piles up the rows of named tensors.
type stacks map[string]*stack

type stack struct {
	rows  int
	shape []int64
	data  []byte
	dtype engine.DType
	words *engine.Vocabulary
}

// push adds a row, which is the count-th; it reports whether it fits the ones before.
func (s stacks) push(name string, row engine.Tensor, count int) bool {
	pile, ok := s[name]
	if !ok {
		pile = &stack{rows: count - 1, shape: row.Shape, dtype: row.DType, words: row.Words, data: alignedBytes(64)[:0]}
		s[name] = pile
		if count > 1 {
			return false
		}
	}
	pile.rows++
	if pile.rows != count || !slices.Equal(pile.shape, row.Shape) {
		return false
	}
	pile.data = extend(pile.data, len(row.Data))
	copy(pile.data[len(pile.data)-len(row.Data):], row.Data)
	return true
}

// short names a pile that has fewer rows than count, if there is one.
func (s stacks) short(count int) (name string, found bool) {
	for name, pile := range s {
		if pile.rows < count {
			return name, true
		}
	}
	return "", false
}

func (s stacks) tensors() map[string]engine.Tensor {
	tensors := make(map[string]engine.Tensor, len(s))
	for name, pile := range s {
		shape := append([]int64{int64(pile.rows)}, pile.shape...)
		tensors[name] = engine.Tensor{DType: pile.dtype, Shape: shape, Data: pile.data, Words: pile.words}
	}
	return tensors
}
