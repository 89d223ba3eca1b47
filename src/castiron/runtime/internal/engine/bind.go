package engine

import (
	"fmt"
	"strconv"
)

// A feed is a tensor in the place of a buffer.
type feed struct {
	name   string
	buffer int32
	tensor Tensor
	words  *Vocabulary
}

// bind finds the values of the program's symbols, free and derived, from the shapes of the feeds, and
// checks every shape against them. Symbols that no feed tells are left unbound.
func (p *Program) bind(feeds []feed) ([]int64, error) {
	symbols := make([]int64, len(p.Symbols))
	for i := range symbols {
		symbols[i] = unbound
	}
	for _, f := range feeds {
		want := p.Buffers[f.buffer].Shape
		if len(want) != len(f.tensor.Shape) {
			return nil, p.shapeError(f, fmt.Sprintf("it needs %d dimensions, not %d", len(want), len(f.tensor.Shape)))
		}
		if n, ok := Count(f.tensor.Shape); !ok {
			return nil, &SizeError{f.name, tooLarge}
		} else if n != int64(f.tensor.Len()) {
			return nil, p.shapeError(f, fmt.Sprintf("it holds %d elements", f.tensor.Len()))
		}
		for i, d := range want {
			if s, ok := d.Bare(); ok && symbols[s] == unbound && int(s) < p.Free() {
				symbols[s] = f.tensor.Shape[i]
			}
		}
	}
	p.derive(symbols)
	for p.solve(feeds, symbols) {
		p.derive(symbols)
	}
	for _, f := range feeds {
		for i, d := range p.Buffers[f.buffer].Shape {
			got := f.tensor.Shape[i]
			if want, ok := d.eval(symbols); !ok || want != got {
				return nil, p.shapeError(f, p.disagreement(i, d, symbols, got))
			}
		}
	}
	return symbols, nil
}

// solve binds symbols that stand only in expressions, and reports whether it found any.
func (p *Program) solve(feeds []feed, symbols []int64) (found bool) {
	for _, f := range feeds {
		for i, d := range p.Buffers[f.buffer].Shape {
			if s, value, ok := d.solve(symbols, p.Free(), f.tensor.Shape[i]); ok {
				symbols[s] = value
				found = true
			}
		}
	}
	return found
}

func (p *Program) disagreement(axis int, d Dim, symbols []int64, got int64) string {
	text := fmt.Sprintf("dimension %d is %d", axis, got)
	want, ok := d.eval(symbols)
	_, static := d.Static()
	switch {
	case static:
		return text + ", must be " + strconv.FormatInt(want, 10)
	case ok:
		return text + fmt.Sprintf(", but %s is %d in this call", d.Text(p.Symbols), want)
	}
	return text + ", which " + d.Text(p.Symbols) + " cannot be"
}

func (p *Program) shapeError(f feed, reason string) error {
	return &ShapeError{Label: f.name, Got: f.tensor.Shape, Want: p.shapeText(p.Buffers[f.buffer].Shape), Reason: reason}
}

func (p *Program) shapeText(shape []Dim) []string {
	text := make([]string, len(shape))
	for i, d := range shape {
		text[i] = d.Text(p.Symbols)
	}
	return text
}
