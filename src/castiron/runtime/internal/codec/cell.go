package codec

import (
	"bytes"
	"strconv"

	"castiron.model/internal/engine"
)

// isNumber tells whether a cell holds a number or a bool.
func isNumber(cell []byte) bool {
	_, n := scanDecimal(cell)
	_, special := parseSpecial(cell)
	_, truth := parseBool(cell)
	return n > 0 && n == len(cell) || special || truth
}

func parseBool(cell []byte) (value, ok bool) {
	switch {
	case bytes.EqualFold(cell, []byte("true")):
		return true, true
	case bytes.EqualFold(cell, []byte("false")):
		return false, true
	}
	return false, false
}

// storeNumber parses text to element i of t; it reports whether the text is a number of t's type.
// Integers may be written as 3.0 or 3e0, and bools as 0 and 1. Of strings any text is one.
func storeNumber(t engine.Tensor, i int, s []byte) bool {
	switch t.DType {
	case engine.String:
		engine.Elements[int64](t)[i] = t.Words.Number(s)
	case engine.F32:
		v, n := scanFloat32(s)
		if n == 0 || n != len(s) {
			special, ok := parseSpecial(s)
			if !ok {
				return false
			}
			v = float32(special)
		}
		engine.Elements[float32](t)[i] = v
	case engine.F64:
		v, n := scanFloat64(s)
		if n == 0 || n != len(s) {
			var ok bool
			if v, ok = parseSpecial(s); !ok {
				return false
			}
		}
		engine.Elements[float64](t)[i] = v
	case engine.I8:
		return storeInt(engine.Elements[int8](t), i, s, 8)
	case engine.I16:
		return storeInt(engine.Elements[int16](t), i, s, 16)
	case engine.I32:
		return storeInt(engine.Elements[int32](t), i, s, 32)
	case engine.I64:
		return storeInt(engine.Elements[int64](t), i, s, 64)
	case engine.U8:
		return storeUint(engine.Elements[uint8](t), i, s, 8)
	case engine.U16:
		return storeUint(engine.Elements[uint16](t), i, s, 16)
	case engine.U32:
		return storeUint(engine.Elements[uint32](t), i, s, 32)
	case engine.U64:
		return storeUint(engine.Elements[uint64](t), i, s, 64)
	default:
		v, ok := parseBool(s)
		if !ok {
			if len(s) != 1 || s[0] != '0' && s[0] != '1' {
				return false
			}
			v = s[0] == '1'
		}
		engine.Elements[bool](t)[i] = v
	}
	return true
}

func storeInt[T int8 | int16 | int32 | int64](to []T, i int, s []byte, bits int) bool {
	v, err := strconv.ParseInt(text(s), 10, bits)
	if err != nil {
		f, n := scanFloat64(s)
		if n == 0 || n != len(s) || f < -1<<53 || f > 1<<53 || float64(T(f)) != f {
			return false
		}
		v = int64(f)
	}
	to[i] = T(v)
	return true
}

func storeUint[T uint8 | uint16 | uint32 | uint64](to []T, i int, s []byte, bits int) bool {
	v, err := strconv.ParseUint(text(s), 10, bits)
	if err != nil {
		f, n := scanFloat64(s)
		if n == 0 || n != len(s) || f < 0 || f > 1<<53 || float64(T(uint64(f))) != f {
			return false
		}
		v = uint64(f)
	}
	to[i] = T(v)
	return true
}

// appendElement writes element i of t.
func appendElement(b []byte, t engine.Tensor, i int, spell spelling) []byte {
	switch t.DType {
	case engine.F32:
		return appendFloat(b, float64(engine.Elements[float32](t)[i]), 32, spell)
	case engine.F64:
		return appendFloat(b, engine.Elements[float64](t)[i], 64, spell)
	case engine.I8:
		return strconv.AppendInt(b, int64(engine.Elements[int8](t)[i]), 10)
	case engine.I16:
		return strconv.AppendInt(b, int64(engine.Elements[int16](t)[i]), 10)
	case engine.I32:
		return strconv.AppendInt(b, int64(engine.Elements[int32](t)[i]), 10)
	case engine.I64:
		return strconv.AppendInt(b, engine.Elements[int64](t)[i], 10)
	case engine.U8:
		return strconv.AppendUint(b, uint64(engine.Elements[uint8](t)[i]), 10)
	case engine.U16:
		return strconv.AppendUint(b, uint64(engine.Elements[uint16](t)[i]), 10)
	case engine.U32:
		return strconv.AppendUint(b, uint64(engine.Elements[uint32](t)[i]), 10)
	case engine.U64:
		return strconv.AppendUint(b, engine.Elements[uint64](t)[i], 10)
	case engine.String:
		return spell.text(b, t.Words.Word(engine.Elements[int64](t)[i]))
	}
	return strconv.AppendBool(b, engine.Elements[bool](t)[i])
}
