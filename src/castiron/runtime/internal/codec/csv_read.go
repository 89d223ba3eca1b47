package codec

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"castiron.model/internal/engine"
)

// A CSVReader is a Source of comma-separated values: a line is a row, and its columns are the
// inputs in order, each flattened.
type CSVReader struct {
	// Header says that the first line held names.
	Header bool

	inputs  []engine.Spec
	columns []target
	shapes  [][]int64 // of a row of each input
	// width is the number of columns that every line must have.
	width int
	// floats says that every column goes to a float32 input or nowhere; plain, that they are those of
	// one input, in order.
	floats, plain bool
	row           []float32

	lines  lineReader
	rows   int
	served bool
}

const (
	// maxLine bounds a line, in bytes, and so the columns.
	maxLine = 1 << 28
	// firstBytes bounds the memory that is taken before rows are seen.
	firstBytes = 1 << 18
)

// NewCSVReader reads the first line of r and tells from it how the columns map to the inputs.
func NewCSVReader(r io.Reader, inputs []engine.Spec) (*CSVReader, error) {
	c := &CSVReader{inputs: inputs, lines: lineReader{r: r, buffer: make([]byte, 0, 1<<18)}}
	line, err := c.lines.next()
	if err != nil && err != io.EOF {
		return nil, err
	}
	var first []string
	if err == nil {
		cells, err := splitCells(line)
		if err != nil {
			return nil, c.fault("%v", err)
		}
		for _, cell := range cells {
			first = append(first, string(bytes.Trim(cell, " \t")))
		}
	}
	if err := c.plan(first); err != nil {
		return nil, err
	}
	if first != nil && !c.Header {
		c.lines.back()
	}
	return c, nil
}

// Next implements Source.
func (c *CSVReader) Next(n int) ([]engine.Tensor, error) {
	tensors := make([]engine.Tensor, len(c.inputs))
	sizes := make([]int, len(c.inputs))
	for i, in := range c.inputs {
		elements, _ := engine.Count(c.shapes[i])
		sizes[i] = int(elements * in.DType.Size())
		tensors[i].DType, tensors[i].Words = in.DType, in.Words
		tensors[i].Data = alignedBytes(min(n, firstBytes/max(sizes[i], 1)+1) * sizes[i])[:0]
	}
	rows := 0
	for ; rows < n; rows++ {
		line, err := c.lines.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		c.rows++
		for i := range tensors {
			tensors[i].Data = extend(tensors[i].Data, sizes[i])
		}
		if err := c.parse(line, tensors, sizes); err != nil {
			return nil, err
		}
	}
	if rows == 0 && c.served {
		return nil, io.EOF
	}
	c.served = true
	for i, in := range c.inputs {
		if len(in.Shape) > 0 || rows != 1 {
			tensors[i].Shape = append([]int64{int64(rows)}, c.shapes[i]...)
		}
	}
	return tensors, nil
}

// extend adds n bytes, which need not be zero.
func extend(data []byte, n int) []byte {
	if len(data)+n > cap(data) {
		data = append(alignedBytes(2 * (len(data) + n))[:0], data...)
	}
	return data[:len(data)+n]
}

// alignedBytes returns n bytes aligned for every element type.
func alignedBytes(n int) []byte {
	return engine.NewTensor(engine.U64, []int64{int64(n+7) / 8}).Data[:n]
}

// parse reads a line to the last row of each tensor.
func (c *CSVReader) parse(line []byte, tensors []engine.Tensor, sizes []int) error {
	if c.floats {
		row := c.row
		if c.plain {
			row = engine.Elements[float32](last(tensors[0], sizes[0]))
		}
		if parseFloats(line, row) {
			if !c.plain {
				for i, to := range c.columns {
					if to.input >= 0 {
						engine.Elements[float32](last(tensors[to.input], sizes[to.input]))[to.element] = row[i]
					}
				}
			}
			return nil
		}
	}
	// Whatever is unusual about the line is read with more care.
	cells, err := splitCells(line)
	if err != nil {
		return c.fault("%v", err)
	}
	if len(cells) != c.width {
		return c.fault("%d columns, expected %d%s", len(cells), c.width, c.whose())
	}
	for i, to := range c.columns {
		if to.input < 0 {
			continue
		}
		in := &c.inputs[to.input]
		// Space around a cell means nothing, unless it belongs to a word.
		if in.DType != engine.String || in.Words.Number(cells[i]) < 0 {
			cells[i] = bytes.Trim(cells[i], " \t")
		}
		if !storeNumber(last(tensors[to.input], sizes[to.input]), int(to.element), cells[i]) {
			return c.fault("column %d (%s): %s", i+1, c.columnName(i), complaint(cells[i], in.DType))
		}
	}
	return nil
}

// parseFloats reads a plain line: numbers between commas, as many as row holds. Anything else makes
// it return false.
func parseFloats(line []byte, row []float32) bool {
	at := 0
	for i := range row {
		if i > 0 {
			if at >= len(line) || line[at] != ',' {
				return false
			}
			at++
		}
		v, n := scanFloat32(line[at:])
		if n == 0 {
			return false
		}
		row[i] = v
		at += n
	}
	return at == len(line)
}

// last returns the last n bytes of a tensor as a tensor.
func last(t engine.Tensor, n int) engine.Tensor {
	return engine.Tensor{DType: t.DType, Data: t.Data[len(t.Data)-n:], Words: t.Words}
}

func complaint(cell []byte, dtype engine.DType) string {
	if len(cell) == 0 {
		return "empty cell; write nan for a missing number"
	}
	if len(cell) > 40 {
		cell = append(slices.Clone(cell[:37]), "..."...)
	}
	if isNumber(cell) {
		return fmt.Sprintf("%q is no %s", cell, dtype)
	}
	return fmt.Sprintf("%q is not a number", cell)
}

// fault returns an error that names the row and line last read.
func (c *CSVReader) fault(format string, args ...any) error {
	return fmt.Errorf("row %d (line %d): %s", max(c.rows, 1), c.lines.line, fmt.Sprintf(format, args...))
}

// whose says what the columns are for, where there is more than one input.
func (c *CSVReader) whose() string {
	if len(c.inputs) == 1 {
		return fmt.Sprintf(" for %s[%s]", c.inputs[0].Name, join(c.inputs[0].ShapeText()))
	}
	text := ": "
	for i, in := range c.inputs {
		if i > 0 {
			text += ", "
		}
		n, _ := engine.Count(c.shapes[i])
		text += fmt.Sprintf("%d for %s", n, in.Name)
	}
	return text
}

// splitCells cuts a line at its commas. Cells may be in double quotes, with "" for a quote inside;
// space around the quotes is dropped.
func splitCells(line []byte) (cells [][]byte, err error) {
	for {
		text := bytes.TrimLeft(line, " \t")
		if len(text) == 0 || text[0] != '"' {
			comma := bytes.IndexByte(line, ',')
			if comma < 0 {
				return append(cells, line), nil
			}
			cells = append(cells, line[:comma])
			line = line[comma+1:]
			continue
		}
		var cell []byte
		rest := text[1:]
		for {
			quote := bytes.IndexByte(rest, '"')
			if quote < 0 {
				return nil, fmt.Errorf("column %d: a quote is not closed in its line", len(cells)+1)
			}
			cell = append(cell, rest[:quote]...)
			rest = rest[quote+1:]
			if len(rest) == 0 || rest[0] != '"' {
				break
			}
			cell = append(cell, '"')
			rest = rest[1:]
		}
		cells = append(cells, cell)
		rest = bytes.TrimLeft(rest, " \t")
		if len(rest) == 0 {
			return cells, nil
		}
		if rest[0] != ',' {
			return nil, fmt.Errorf("column %d: text after a closing quote", len(cells))
		}
		line = rest[1:]
	}
}
