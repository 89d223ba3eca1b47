package codec

import (
	"fmt"
	"io"
	"strings"

	"castiron.model/internal/engine"
)

// A csvWriter is a Sink of comma-separated values: the outputs of a row, flattened, side by side.
type csvWriter struct {
	w       io.Writer
	outputs []engine.Spec
	header  bool
	buffer  []byte
}

func newCSVWriter(w io.Writer, outputs []engine.Spec, header bool) *csvWriter {
	return &csvWriter{w: w, outputs: outputs, header: header}
}

func (c *csvWriter) Write(tensors []engine.Tensor) error {
	rows := int64(1)
	widths := make([]int, len(tensors))
	for i, t := range tensors {
		n := int64(1)
		if len(t.Shape) > 0 {
			n = t.Shape[0]
			w, _ := engine.Count(t.Shape[1:])
			widths[i] = int(w)
		} else {
			widths[i] = 1
		}
		if i > 0 && n != rows {
			return fmt.Errorf("CSV: %s has %d rows and %s has %d: fetch them apart, or use JSON",
				c.outputs[0].Name, rows, c.outputs[i].Name, n)
		}
		rows = n
	}
	if c.header {
		c.header = false
		c.writeNames(widths)
	}
	for row := range int(rows) {
		for i, t := range tensors {
			for k := range widths[i] {
				c.buffer = append(appendElement(c.buffer, t, row*widths[i]+k, csvSpelling), ',')
			}
		}
		c.endLine()
		if len(c.buffer) > 1<<16 {
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
	return c.flush()
}

// endLine turns the last comma into the line's end.
func (c *csvWriter) endLine() {
	if n := len(c.buffer); n > 0 && c.buffer[n-1] == ',' {
		c.buffer[n-1] = '\n'
	} else {
		c.buffer = append(c.buffer, '\n')
	}
}

func (c *csvWriter) writeNames(widths []int) {
	for i, out := range c.outputs {
		for k := range widths[i] {
			name := out.Name
			switch {
			case len(out.Columns) == widths[i]:
				name += "." + out.Columns[k]
			case widths[i] > 1:
				name = fmt.Sprintf("%s.%d", name, k)
			}
			c.buffer = append(appendCell(c.buffer, name), ',')
		}
	}
	c.endLine()
}

// appendCell writes text, in quotes if it would be read as something else without.
func appendCell(b []byte, text string) []byte {
	if strings.ContainsAny(text, ",\"\r\n") || strings.TrimSpace(text) != text {
		text = `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
	}
	return append(b, text...)
}

func (c *csvWriter) flush() error {
	_, err := c.w.Write(c.buffer)
	c.buffer = c.buffer[:0]
	return err
}

// Close writes nothing: every Write is complete.
func (c *csvWriter) Close() error { return nil }
