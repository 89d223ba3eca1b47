package engine

import (
	"math"
	"math/bits"
	"strconv"
)

// unbound marks a symbol whose value no feed has told yet.
const unbound = math.MinInt64

// Free returns how many symbols stand for themselves.
func (p *Program) Free() int { return len(p.Symbols) - len(p.Derived) }

// derive computes the derived symbols from the free ones. Those that have no value, because it is
// made of unbound ones, divides by zero or does not fit, are left unbound.
func (p *Program) derive(symbols []int64) { derive(p.Derived, symbols) }

func derive(derived []Derived, symbols []int64) {
	free := len(symbols) - len(derived)
	for i := range derived {
		symbols[free+i] = derived[i].eval(symbols)
	}
}

func (r *Derived) eval(symbols []int64) int64 {
	a, known := r.A.value(symbols)
	b, also := r.B.value(symbols)
	switch {
	case !known || !also || !r.Max && b == 0:
		return unbound
	case r.Max:
		return max(a, b)
	}
	quotient := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		quotient--
	}
	return quotient
}

// Bare returns the symbol that d consists of, if d is one symbol and nothing else.
func (d Dim) Bare() (symbol int32, ok bool) {
	if len(d) == 1 && d[0].Coef == 1 && len(d[0].Syms) == 1 {
		return d[0].Syms[0], true
	}
	return 0, false
}

// Static returns the value of d if it has no symbol.
func (d Dim) Static() (value int64, ok bool) {
	for _, t := range d {
		if len(t.Syms) != 0 {
			return 0, false
		}
		value += t.Coef
	}
	return value, true
}

// eval returns the value of d; ok is false if a symbol is unbound, or if the value is negative or
// does not fit.
func (d Dim) eval(symbols []int64) (value int64, ok bool) {
	value, ok = d.value(symbols)
	return value, ok && value >= 0
}

// value is eval of what may be negative.
func (d Dim) value(symbols []int64) (value int64, ok bool) {
	ok = true
	for _, t := range d {
		term := t.Coef
		for _, s := range t.Syms {
			if symbols[s] == unbound {
				return 0, false
			}
			term, ok = multiply(term, symbols[s], ok)
		}
		sum := value + term
		ok = ok && (sum > value) == (term > 0)
		value = sum
	}
	return value, ok
}

// solve finds the one unbound symbol of d, if it is one of the free and d is linear in it, such that d
// has the given value.
func (d Dim) solve(symbols []int64, free int, value int64) (symbol int32, solution int64, ok bool) {
	symbol = -1
	var coef, rest int64
	for _, t := range d {
		product, unknown := t.Coef, int32(-1)
		valid := true
		for _, s := range t.Syms {
			switch {
			case symbols[s] != unbound:
				product, valid = multiply(product, symbols[s], valid)
			case unknown >= 0 || int(s) >= free:
				return 0, 0, false
			default:
				unknown = s
			}
		}
		switch {
		case !valid, unknown >= 0 && symbol >= 0:
			return 0, 0, false
		case unknown >= 0:
			symbol, coef = unknown, product
		default:
			rest += product
		}
	}
	if symbol < 0 || coef == 0 || (value-rest)%coef != 0 || (value-rest)/coef < 0 {
		return 0, 0, false
	}
	return symbol, (value - rest) / coef, true
}

// Text prints d with the program's names of its symbols, as in "2*batch+1".
func (d Dim) Text(symbols []string) string {
	if len(d) == 0 {
		return "0"
	}
	var text []byte
	for i, t := range d {
		if i > 0 && t.Coef >= 0 {
			text = append(text, '+')
		}
		star := false
		switch {
		case len(t.Syms) == 0 || t.Coef != 1 && t.Coef != -1:
			text = strconv.AppendInt(text, t.Coef, 10)
			star = true
		case t.Coef == -1:
			text = append(text, '-')
		}
		for _, s := range t.Syms {
			if star {
				text = append(text, '*')
			}
			text = append(text, symbols[s]...)
			star = true
		}
	}
	return string(text)
}

// multiply returns a*b; the result is not ok if an operand was not, or if the product does not fit.
func multiply(a, b int64, ok bool) (int64, bool) {
	if !ok {
		return 0, false
	}
	high, low := bits.Mul64(magnitude(a), magnitude(b))
	if high != 0 || low > math.MaxInt64 {
		return 0, false
	}
	return a * b, true
}

func magnitude(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

// Count returns the number of elements of a shape; ok is false if a dimension is negative or the
// number is too large to address.
func Count(shape []int64) (count int64, ok bool) {
	count, ok = 1, true
	for _, d := range shape {
		if d == 0 {
			return 0, validShape(shape)
		}
	}
	for _, d := range shape {
		count, ok = multiply(count, d, ok && d >= 0)
	}
	return count, ok && count <= maxElements
}

// maxElements keeps byte counts within 48 bits, the reach of today's address spaces.
const maxElements = 1 << 45

// mostMeasured bounds the bytes of a tensor whose size data decide: a number in a small input must not
// make the process ask for all memory.
const mostMeasured = 1 << 33

func validShape(shape []int64) bool {
	for _, d := range shape {
		if d < 0 {
			return false
		}
	}
	return true
}

// sizeOf returns a buffer's shape and bytes.
func (b *Buffer) sizeOf(symbols []int64) (shape []int64, bytes int64, ok bool) {
	shape = make([]int64, len(b.Shape))
	for i, d := range b.Shape {
		if shape[i], ok = d.eval(symbols); !ok {
			return nil, 0, false
		}
	}
	n, ok := Count(shape)
	bytes = n * b.DType.Size()
	return shape, bytes, ok && (b.Stage == 0 || bytes <= mostMeasured)
}
