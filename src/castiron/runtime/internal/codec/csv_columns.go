package codec

import (
	"fmt"
	"slices"
	"strings"

	"castiron.model/internal/engine"
)

// A target is an element of an input's row; input is -1 for a column that is passed over.
type target struct {
	input   int
	element int64
}

// plan maps the columns of the file, of which first holds the cells of the first line (nil in an
// empty file), to the inputs. If each input finds its names in a header (as "x", or "x.0", "x.1", …
// or "x_0", … for several columns), they decide, and other columns are passed over. Otherwise the
// columns are the inputs in order, and at most one dimension of a row may be free: their number
// tells it.
func (c *CSVReader) plan(first []string) error {
	if err := c.rowShapes(len(first)); err != nil {
		return err
	}
	// Text that stands where no string may is a name. Where strings may stand anywhere, only the inputs' names are.
	text := func(i int) bool { return len(first[i]) > 0 && !isNumber([]byte(first[i])) }
	words := slices.ContainsFunc(c.inputs, func(in engine.Spec) bool { return in.DType == engine.String })
	for i := range first {
		c.Header = c.Header || !words && text(i)
	}
	if first != nil && (c.Header || words) && c.byName(first) {
		c.width, c.Header = len(first), true
	} else {
		for i := range c.inputs {
			n, _ := engine.Count(c.shapes[i])
			for element := range n {
				c.columns = append(c.columns, target{i, element})
			}
		}
		c.width = len(c.columns)
		for i, to := range c.columns[:min(len(first), c.width)] {
			c.Header = c.Header || words && c.inputs[to.input].DType != engine.String && text(i)
		}
		if first != nil && len(first) != c.width {
			c.rows = 1
			return c.fault("%d columns, expected %d%s", len(first), c.width, c.whose())
		}
		c.plain = len(c.inputs) == 1
	}
	c.floats = true
	for _, to := range c.columns {
		c.floats = c.floats && (to.input < 0 || c.inputs[to.input].DType == engine.F32)
	}
	c.plain = c.plain && c.floats
	c.row = make([]float32, c.width)
	return nil
}

// rowShapes finds the shape of each input's row in a line of so many columns.
func (c *CSVReader) rowShapes(columns int) error {
	c.shapes = make([][]int64, len(c.inputs))
	total := int64(0)
	var free *int64
	factor := int64(1)
	for i, in := range c.inputs {
		var dims []engine.Dim
		if len(in.Shape) > 0 {
			dims = in.Shape[1:]
		}
		c.shapes[i] = make([]int64, len(dims))
		var here *int64
		for j, d := range dims {
			n, static := d.Static()
			switch {
			case static:
				c.shapes[i][j] = n
			case free != nil || here != nil:
				return fmt.Errorf("%s[%s]: the columns of a CSV file cannot tell more than one free dimension; use NPY or JSON",
					in.Name, join(in.ShapeText()))
			default:
				c.shapes[i][j] = 1
				here = &c.shapes[i][j]
			}
		}
		n, ok := engine.Count(c.shapes[i])
		if !ok || n > maxLine {
			return fmt.Errorf("%s[%s]: too many columns for CSV", in.Name, join(in.ShapeText()))
		}
		if here != nil {
			free, factor = here, n
		} else {
			total += n
		}
	}
	if free != nil {
		*free = max(int64(columns)-total, 0) / max(factor, 1)
	}
	return nil
}

// byName maps columns by the names in the header, if it has all that the inputs need.
func (c *CSVReader) byName(header []string) bool {
	place := make(map[string]int)
	for i, name := range header {
		if _, ok := place[name]; !ok {
			place[name] = i
		}
	}
	columns := make([]target, len(header))
	for i := range columns {
		columns[i].input = -1
	}
	for i, in := range c.inputs {
		n, _ := engine.Count(c.shapes[i])
		for element := range n {
			at, ok := 0, false
			for _, name := range []string{in.Name, in.Label} {
				for _, spelled := range []string{name, fmt.Sprintf("%s.%d", name, element), fmt.Sprintf("%s_%d", name, element)} {
					if !ok && (spelled != name || n == 1) {
						at, ok = place[spelled]
					}
				}
			}
			if !ok || columns[at].input >= 0 {
				return false
			}
			columns[at] = target{i, element}
		}
	}
	c.columns = columns
	return true
}

// columnName names a column in errors.
func (c *CSVReader) columnName(i int) string {
	to := c.columns[i]
	if n, _ := engine.Count(c.shapes[to.input]); n == 1 {
		return c.inputs[to.input].Name
	}
	return fmt.Sprintf("%s.%d", c.inputs[to.input].Name, to.element)
}

func join(dims []string) string { return strings.Join(dims, ",") }
