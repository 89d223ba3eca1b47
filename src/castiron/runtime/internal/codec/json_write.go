package codec

import (
	"io"
	"strings"

	"castiron.model/internal/engine"
)

// AppendTensor writes a tensor as nested JSON arrays, the innermost as objects where the columns have names.
func AppendTensor(b []byte, t engine.Tensor) []byte {
	at := 0
	return appendArray(b, t, t.Shape, &at)
}

// AppendRow writes one row of a tensor.
func AppendRow(b []byte, t engine.Tensor, row int) []byte {
	size, _ := engine.Count(t.Shape[1:])
	at := row * int(size)
	return appendArray(b, t, t.Shape[1:], &at)
}

func appendArray(b []byte, t engine.Tensor, shape []int64, at *int) []byte {
	if len(shape) == 0 {
		*at++
		return appendElement(b, t, *at-1, jsonSpelling)
	}
	brackets := "[]"
	columns := t.Columns
	if len(shape) > 1 || int64(len(columns)) != shape[0] {
		columns = nil
	} else if len(columns) > 0 {
		brackets = "{}"
	}
	b = append(b, brackets[0])
	for i := range shape[0] {
		if i > 0 {
			b = append(b, ',', ' ')
		}
		if columns != nil {
			b = append(AppendString(b, columns[i]), ':', ' ')
		}
		b = appendArray(b, t, shape[1:], at)
	}
	return append(b, brackets[1])
}

// AppendString writes a JSON string.
func AppendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\t':
			b = append(b, '\\', 't')
		case r < ' ' || r == 0x7F:
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = append(b, string(r)...)
		}
	}
	return append(b, '"')
}

// A jsonSink writes the rows of one output as an array, a row a line, as they come. Several outputs
// become an object of arrays by name, at the end.
type jsonSink struct {
	w       io.Writer
	outputs []engine.Spec
	parts   [][]engine.Tensor
	rows    int
	buffer  []byte
}

func newJSONSink(w io.Writer, outputs []engine.Spec) *jsonSink {
	return &jsonSink{w: w, outputs: outputs}
}

func (j *jsonSink) Write(tensors []engine.Tensor) error {
	if len(tensors) != 1 {
		j.parts = append(j.parts, tensors)
		return nil
	}
	t := tensors[0]
	if len(t.Shape) == 0 {
		j.buffer = AppendTensor(j.buffer, t)
		return j.flush()
	}
	if j.rows == 0 && t.Shape[0] == 0 {
		return nil
	}
	for i := range int(t.Shape[0]) {
		if j.rows == 0 {
			j.buffer = append(j.buffer, '[')
		} else {
			j.buffer = append(j.buffer, ',', '\n')
		}
		j.rows++
		j.buffer = AppendRow(j.buffer, t, i)
		if len(j.buffer) > 1<<16 {
			if err := j.flush(); err != nil {
				return err
			}
		}
	}
	return j.flush()
}

func (j *jsonSink) flush() error {
	_, err := j.w.Write(j.buffer)
	j.buffer = j.buffer[:0]
	return err
}

func (j *jsonSink) Close() error {
	switch {
	case len(j.outputs) != 1:
		j.buffer = append(j.buffer, '{')
		for i, out := range j.outputs {
			if i > 0 {
				j.buffer = append(j.buffer, ',', '\n')
			}
			j.buffer = append(AppendString(j.buffer, out.Name), ':', ' ')
			j.appendParts(i)
		}
		j.buffer = append(j.buffer, '}', '\n')
	case j.rows > 0:
		j.buffer = append(j.buffer, ']', '\n')
	case len(j.outputs[0].Shape) > 0:
		j.buffer = append(j.buffer, "[]\n"...)
	default:
		j.buffer = append(j.buffer, '\n')
	}
	return j.flush()
}

// appendParts writes all rows of output i.
func (j *jsonSink) appendParts(i int) {
	if len(j.parts) == 1 {
		j.buffer = AppendTensor(j.buffer, j.parts[0][i])
		return
	}
	j.buffer = append(j.buffer, '[')
	first := true
	for _, part := range j.parts {
		for row := range int(part[i].Shape[0]) {
			if !first {
				j.buffer = append(j.buffer, ',', '\n')
			}
			first = false
			j.buffer = AppendRow(j.buffer, part[i], row)
		}
	}
	j.buffer = append(j.buffer, ']')
}
