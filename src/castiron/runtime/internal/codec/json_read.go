package codec

import (
	"fmt"
	"io"
	"strings"

	"castiron.model/internal/engine"
)

// A jsonSource reads a whole JSON text: an array of rows (arrays, or objects by name), an object of
// arrays by name, TensorFlow Serving's {"instances": …} or {"inputs": …}, or a row after the other.
type jsonSource struct {
	r      io.Reader
	inputs []engine.Spec
	slicer
}

func newJSONSource(r io.Reader, inputs []engine.Spec) *jsonSource {
	return &jsonSource{r: r, inputs: inputs}
}

func (j *jsonSource) Next(n int) ([]engine.Tensor, error) {
	if j.r != nil {
		text, err := io.ReadAll(j.r)
		if err != nil {
			return nil, err
		}
		j.r = nil
		if j.all, err = parseDocument(text, j.inputs); err != nil {
			return nil, err
		}
	}
	return j.next(n)
}

// parseDocument reads a tensor for each input.
func parseDocument(text []byte, inputs []engine.Spec) ([]engine.Tensor, error) {
	s := &scanner{data: text}
	f := &feeder{scanner: s, inputs: inputs, find: func(name string) (engine.Spec, error) {
		for _, in := range inputs {
			if name == in.Name || name == in.Label || strings.TrimSuffix(name, ":0") == in.Label {
				return in, nil
			}
		}
		return engine.Spec{}, s.fault("%q is not an input", name)
	}}
	feeds, err := f.document()
	if err != nil {
		return nil, err
	}
	single := true
	if s.peek() != 0 {
		// More values follow: each is a row.
		single = false
		rows := make(stacks)
		for count := 1; ; count++ {
			for name, t := range feeds {
				if !rows.push(name, t, count) {
					return nil, s.fault("row %d: %q has another shape than before", count, name)
				}
			}
			if name, short := rows.short(count); short {
				return nil, s.fault("row %d lacks %q", count, name)
			}
			if s.peek() == ',' || s.peek() == 0 {
				break
			}
			if feeds, err = f.columns(); err != nil {
				return nil, fmt.Errorf("row %d: %w", count+1, err)
			}
		}
		if s.peek() != 0 {
			return nil, s.fault("%s where a row was expected", s.found())
		}
		feeds = rows.tensors()
	}
	return arrange(feeds, inputs, single)
}

// document reads the first value of the text.
func (f *feeder) document() (feeds map[string]engine.Tensor, err error) {
	switch c := f.peek(); {
	case c == 0:
		return nil, f.fault("the text is empty")
	case c == '{' && f.wrapped():
		err = f.members(func(key string) (err error) {
			switch {
			case key == "instances" && feeds == nil:
				feeds, err = f.instances()
			case key == "inputs" && feeds == nil:
				feeds, err = f.columns()
			default:
				err = f.skip()
			}
			return err
		})
		return feeds, err
	case f.rowObjects():
		return f.instances()
	}
	return f.columns()
}

// wrapped tells whether an object comes that has one of TensorFlow Serving's keys.
func (f *feeder) wrapped() (found bool) {
	look := scanner{data: f.data, at: f.at}
	look.members(func(key string) error {
		found = found || key == "instances" || key == "inputs"
		if found {
			return errRagged // any error: enough was seen
		}
		return look.skip()
	})
	return found
}

// arrange puts tensors in the order of the inputs. A single value may be one row.
func arrange(feeds map[string]engine.Tensor, inputs []engine.Spec, single bool) ([]engine.Tensor, error) {
	tensors := make([]engine.Tensor, len(inputs))
	for i, in := range inputs {
		found := false
		for name, t := range feeds {
			if name == in.Name || strings.TrimSuffix(name, ":0") == in.Label {
				tensors[i], found = t, true
			}
		}
		if !found {
			return nil, &engine.MissingInputError{Inputs: []string{in.Name}}
		}
		if t := &tensors[i]; single && len(t.Shape) == len(in.Shape)-1 {
			t.Shape = append([]int64{1}, t.Shape...)
		}
	}
	return tensors, nil
}

// A slicer hands out tensors by rows.
type slicer struct {
	all    []engine.Tensor
	at     int64
	served bool
}

func (s *slicer) next(n int) ([]engine.Tensor, error) {
	rows := int64(1)
	for i, t := range s.all {
		r := int64(1)
		if len(t.Shape) > 0 {
			r = t.Shape[0]
		}
		if i > 0 && r != rows && n != All {
			return nil, fmt.Errorf("inputs of %d and %d rows", rows, r)
		}
		rows = r
	}
	if s.served && s.at >= rows {
		return nil, io.EOF
	}
	s.served = true
	if n == All || rows-s.at <= int64(n) && s.at == 0 {
		s.at = rows
		return s.all, nil
	}
	count := min(int64(n), rows-s.at)
	part := make([]engine.Tensor, len(s.all))
	for i, t := range s.all {
		size := int64(len(t.Data)) / rows
		part[i] = engine.Tensor{DType: t.DType, Shape: append([]int64{count}, t.Shape[1:]...),
			Data: t.Data[s.at*size : (s.at+count)*size], Words: t.Words}
	}
	s.at += count
	return part, nil
}
