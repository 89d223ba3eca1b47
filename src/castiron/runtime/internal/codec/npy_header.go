package codec

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"castiron.model/internal/engine"
)

const (
	npyMagic = "\x93NUMPY"
	// maxHeader bounds the text of a header.
	maxHeader = 1 << 16
	// maxRank is NumPy's.
	maxRank = 64
	// maxWidth bounds the characters of a string.
	maxWidth = 1 << 20
)

// An npyHeader describes the array of an NPY file (NumPy enhancement proposal 1).
type npyHeader struct {
	dtype engine.DType
	// half says that elements are float16, which are read as dtype float32.
	half bool
	// width is the number of characters of a string, each of unit bytes: 4 for Unicode, 1 for bytes.
	width, unit int64
	big         bool // big-endian
	fortran     bool
	shape       []int64
}

// size is the bytes of an element in the file.
func (h *npyHeader) size() int64 {
	switch {
	case h.half:
		return 2
	case h.dtype == engine.String:
		return h.width * h.unit
	}
	return h.dtype.Size()
}

// readHeader reads the beginning of a file, of version 1, 2 or 3.
func readHeader(r io.Reader) (*npyHeader, error) {
	var start [12]byte
	if _, err := io.ReadFull(r, start[:10]); err != nil || string(start[:6]) != npyMagic {
		return nil, fmt.Errorf("NPY: the file does not begin as one")
	}
	length := int64(binary.LittleEndian.Uint16(start[8:]))
	switch start[6] {
	case 1:
	case 2, 3:
		if _, err := io.ReadFull(r, start[10:]); err != nil {
			return nil, fmt.Errorf("NPY: the header is cut off")
		}
		length = int64(binary.LittleEndian.Uint32(start[8:]))
	default:
		return nil, fmt.Errorf("NPY: version %d of the format is not known", start[6])
	}
	if length > maxHeader {
		return nil, fmt.Errorf("NPY: a header of %d bytes", length)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, fmt.Errorf("NPY: the header is cut off")
	}
	p := headerParser{text: string(text)}
	return p.parse()
}

// A headerParser reads the header's text, a literal Python dict.
type headerParser struct {
	text string
	at   int
}

func (p *headerParser) fault() error {
	return fmt.Errorf("NPY: the header is not understood at byte %d of %q", p.at+1, p.text[:min(len(p.text), 200)])
}

// take passes over space, then over the given text if that follows.
func (p *headerParser) take(s string) bool {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
	if strings.HasPrefix(p.text[p.at:], s) {
		p.at += len(s)
		return true
	}
	return false
}

func (p *headerParser) parse() (*npyHeader, error) {
	h := &npyHeader{}
	seen := 0
	if !p.take("{") {
		return nil, p.fault()
	}
	for !p.take("}") {
		key, ok := p.quoted()
		if !ok || !p.take(":") {
			return nil, p.fault()
		}
		switch key {
		case "descr":
			descr, ok := p.quoted()
			if !ok {
				return nil, fmt.Errorf("NPY: records (structured dtypes) are not read: save an array of numbers")
			}
			if err := h.describe(descr); err != nil {
				return nil, err
			}
		case "fortran_order":
			if h.fortran = p.take("True"); !h.fortran && !p.take("False") {
				return nil, p.fault()
			}
		case "shape":
			if h.shape, ok = p.tuple(); !ok {
				return nil, p.fault()
			}
		default:
			return nil, p.fault()
		}
		seen++
		if !p.take(",") && !strings.HasPrefix(strings.TrimSpace(p.text[p.at:]), "}") {
			return nil, p.fault()
		}
	}
	p.take("")
	if seen != 3 || h.shape == nil || p.at != len(p.text) {
		return nil, p.fault()
	}
	if n, ok := engine.Count(h.shape); !ok || n > math.MaxInt64/max(h.size(), 8) {
		return nil, fmt.Errorf("NPY: the shape %s is too large", engine.ShapeText(h.shape))
	}
	return h, nil
}

func (p *headerParser) quoted() (string, bool) {
	p.take("")
	for _, quote := range []string{"'", `"`} {
		if p.take(quote) {
			end := strings.Index(p.text[p.at:], quote)
			if end < 0 {
				return "", false
			}
			s := p.text[p.at : p.at+end]
			p.at += end + 1
			return s, true
		}
	}
	return "", false
}

func (p *headerParser) tuple() ([]int64, bool) {
	shape := []int64{}
	if !p.take("(") {
		return nil, false
	}
	for !p.take(")") {
		start := p.at
		for p.at < len(p.text) && p.text[p.at]-'0' < 10 {
			p.at++
		}
		d, err := strconv.ParseInt(p.text[start:p.at], 10, 64)
		if err != nil || len(shape) == maxRank {
			return nil, false
		}
		shape = append(shape, d)
		p.take("L") // Python 2
		if !p.take(",") && !strings.HasPrefix(p.text[p.at:], ")") {
			return nil, false
		}
	}
	return shape, true
}

var npyTypes = map[string]engine.DType{
	"f2": engine.F32, "f4": engine.F32, "f8": engine.F64,
	"i1": engine.I8, "i2": engine.I16, "i4": engine.I32, "i8": engine.I64,
	"u1": engine.U8, "u2": engine.U16, "u4": engine.U32, "u8": engine.U64,
	"b1": engine.Bool,
}

// describe reads NumPy's description of the elements, as in "<f4".
func (h *npyHeader) describe(descr string) error {
	code := descr
	if len(code) > 0 && strings.IndexByte("<>|=", code[0]) >= 0 {
		h.big = code[0] == '>'
		code = code[1:]
	}
	if len(code) > 1 && (code[0] == 'U' || code[0] == 'S') {
		width, err := strconv.ParseInt(code[1:], 10, 32)
		if err != nil || width < 1 || width > maxWidth {
			return fmt.Errorf("NPY: dtype %q: strings of %s characters", descr, code[1:])
		}
		h.dtype, h.width, h.unit = engine.String, width, 4
		if code[0] == 'S' {
			h.unit = 1
		}
		return nil
	}
	dtype, ok := npyTypes[code]
	if !ok {
		what := "its elements"
		if len(code) > 0 {
			switch code[0] {
			case 'O':
				return fmt.Errorf("NPY: dtype %q: pickled Python objects are not read: save an array of numbers, or one of strings by astype(str)", descr)
			case 'c':
				what = "complex numbers"
			case 'M', 'm':
				what = "dates and times"
			}
		}
		return fmt.Errorf("NPY: dtype %q: %s are not read: save an array of numbers", descr, what)
	}
	h.dtype, h.half = dtype, code == "f2"
	return nil
}

// text writes the header; its length does not depend on the first dimension, which may still grow.
func (h *npyHeader) text() []byte {
	code := "|b1"
	if h.dtype == engine.String {
		code = fmt.Sprintf("<U%d", h.width)
	}
	for c, dtype := range npyTypes {
		if dtype == h.dtype && c != "f2" && dtype != engine.Bool {
			code = "<" + c
			if dtype.Size() == 1 {
				code = "|" + c
			}
		}
	}
	var shape []byte
	for _, d := range h.shape {
		shape = fmt.Appendf(shape, "%d, ", d)
	}
	if len(h.shape) > 1 {
		shape = shape[:len(shape)-2]
	} else if len(h.shape) == 1 {
		shape = shape[:len(shape)-1]
	}
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", code, shape)
	// NumPy pads so that the data begins at a multiple of 64 bytes. The first dimension may take as
	// many as 20 digits.
	total := 10 + len(dict) + 1
	if len(h.shape) > 0 {
		total += 20 - len(strconv.FormatInt(h.shape[0], 10))
	}
	total = (total + 63) / 64 * 64
	b := append([]byte(npyMagic), 1, 0, 0, 0)
	b = append(b, dict...)
	for len(b) < total-1 {
		b = append(b, ' ')
	}
	b = append(b, '\n')
	binary.LittleEndian.PutUint16(b[8:], uint16(len(b)-10))
	return b
}

// float16 returns the value of an IEEE 754 half.
func float16(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent, fraction := uint32(h>>10&31), uint32(h&1023)
	switch exponent {
	case 0:
		v := float32(fraction) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 31:
		return math.Float32frombits(sign | 255<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}
