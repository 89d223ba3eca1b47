package codec

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"castiron.model/internal/engine"
)

// A scanner reads JSON from memory, and numbers straight into tensors. NaN, Infinity and -Infinity
// are numbers, as they are for TensorFlow Serving.
type scanner struct {
	data  []byte
	at    int
	depth int
}

// maxDepth bounds how deep values may be nested.
const maxDepth = 64

func (s *scanner) fault(format string, args ...any) error {
	return fmt.Errorf("JSON, byte %d: %s", s.at+1, fmt.Sprintf(format, args...))
}

// peek passes over space and returns the next byte, or 0 at the end. A zero byte in the text, which
// JSON has no place for, comes as one that it has no place for either.
func (s *scanner) peek() byte {
	for s.at < len(s.data) {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		case 0:
			return 0xFF
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) expect(c byte) error {
	if got := s.peek(); got == 0 {
		return s.fault("the text ends where %q was expected", c)
	} else if got != c {
		return s.fault("%q where %q was expected", got, c)
	}
	s.at++
	return nil
}

// elements calls each for every element of an array.
func (s *scanner) elements(each func() error) error { return s.sequence('[', ']', each) }

// members calls each for every member of an object; it must read the value.
func (s *scanner) members(each func(key string) error) error {
	return s.sequence('{', '}', func() error {
		s.peek()
		key, err := s.text()
		if err == nil {
			err = s.expect(':')
		}
		if err != nil {
			return err
		}
		return each(key)
	})
}

func (s *scanner) sequence(open, end byte, each func() error) error {
	if err := s.expect(open); err != nil {
		return err
	}
	if s.depth++; s.depth > maxDepth {
		return s.fault("nested deeper than %d", maxDepth)
	}
	if s.peek() != end {
		for {
			if err := each(); err != nil {
				return err
			}
			if s.peek() != ',' {
				break
			}
			s.at++
		}
	}
	s.depth--
	if c := s.peek(); c != end && c != 0 {
		return s.fault("%q where ',' or %q was expected", c, end)
	}
	return s.expect(end)
}

// text reads a string.
func (s *scanner) text() (string, error) {
	if err := s.expect('"'); err != nil {
		return "", err
	}
	var out []byte
	for s.at < len(s.data) {
		c := s.data[s.at]
		s.at++
		switch {
		case c == '"':
			return string(out), nil
		case c < ' ':
			return "", s.fault("a control character in a string")
		case c != '\\':
			out = append(out, c)
		default:
			r, err := s.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
		}
	}
	return "", s.fault("the text ends in a string")
}

func (s *scanner) escape() (rune, error) {
	if s.at < len(s.data) {
		c := s.data[s.at]
		s.at++
		switch c {
		case '"', '\\', '/':
			return rune(c), nil
		case 'b':
			return '\b', nil
		case 'f':
			return '\f', nil
		case 'n':
			return '\n', nil
		case 'r':
			return '\r', nil
		case 't':
			return '\t', nil
		case 'u':
			r, ok := s.hex()
			if ok && utf16.IsSurrogate(r) {
				low := rune(utf8.RuneError)
				if s.at+1 < len(s.data) && s.data[s.at] == '\\' && s.data[s.at+1] == 'u' {
					s.at += 2
					low, ok = s.hex()
				}
				r = utf16.DecodeRune(r, low)
			}
			if ok {
				return r, nil
			}
		}
	}
	return 0, s.fault("a bad escape in a string")
}

func (s *scanner) hex() (rune, bool) {
	if s.at+4 > len(s.data) {
		return 0, false
	}
	v, err := strconv.ParseUint(string(s.data[s.at:s.at+4]), 16, 16)
	s.at += 4
	return rune(v), err == nil
}

// token reads a bare word: a number, true, false, null, NaN …
func (s *scanner) token() []byte {
	s.peek()
	start := s.at
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\r', '\n', ',', ':', '[', ']', '{', '}', '"':
			return s.data[start:s.at]
		}
		s.at++
	}
	return s.data[start:s.at]
}

// skip passes over any value.
func (s *scanner) skip() error {
	switch c := s.peek(); c {
	case '[':
		return s.elements(s.skip)
	case '{':
		return s.members(func(string) error { return s.skip() })
	case '"':
		_, err := s.text()
		return err
	}
	start := s.at
	word := string(s.token())
	switch word {
	case "true", "false", "null", "NaN", "Infinity", "-Infinity":
		return nil
	}
	if _, n := scanDecimal([]byte(word)); n == 0 || n != len(word) {
		s.at = start
		return s.fault("%s where a value was expected", s.found())
	}
	return nil
}

// found describes what stands at the current place.
func (s *scanner) found() string {
	switch c := s.peek(); c {
	case 0:
		return "the end of the text"
	case '"', '[', '{', ']', '}', ',', ':':
		return strconv.QuoteRune(rune(c))
	}
	at := s.at
	word := s.token()
	s.at = at
	if len(word) > 40 {
		word = word[:40]
	}
	return strconv.Quote(string(word))
}

var errRagged = errors.New("rows of different lengths")

// An array collects nested JSON arrays of numbers or strings.
type array struct {
	dtype engine.DType
	words *engine.Vocabulary
	data  []byte
	// shape has -1 for dimensions whose length is not known yet; rank is -1 before the first number.
	shape []int64
	rank  int
}

// tensor reads a number or nested arrays of numbers, or, with words, strings in their place.
func (s *scanner) tensor(dtype engine.DType, words *engine.Vocabulary) (engine.Tensor, error) {
	a := array{dtype: dtype, words: words, rank: -1, data: alignedBytes(64)[:0]}
	if err := s.fill(&a, 0); err != nil {
		return engine.Tensor{}, err
	}
	return engine.Tensor{DType: dtype, Shape: a.shape, Data: a.data, Words: words}, nil
}

func (s *scanner) fill(a *array, depth int) error {
	if s.peek() != '[' {
		return s.number(a, depth)
	}
	if a.rank >= 0 && depth >= a.rank {
		return s.fault("an array where a %s was expected: %v", a.element(), errRagged)
	}
	if depth == len(a.shape) {
		a.shape = append(a.shape, -1)
	}
	length := int64(0)
	err := s.elements(func() error {
		length++
		return s.fill(a, depth+1)
	})
	if err != nil {
		return err
	}
	if a.shape[depth] >= 0 && a.shape[depth] != length {
		return s.fault("%v: %d and %d", errRagged, a.shape[depth], length)
	}
	a.shape[depth] = length
	return nil
}

// element is what the array is of.
func (a *array) element() string {
	if a.dtype == engine.String {
		return "string"
	}
	return "number"
}

// number reads one number or string at the given depth.
func (s *scanner) number(a *array, depth int) error {
	if a.rank < 0 && depth == len(a.shape) {
		a.rank = depth
	}
	if depth != a.rank {
		return s.fault("%s where an array was expected: %v", s.found(), errRagged)
	}
	size := int(a.dtype.Size())
	a.data = extend(a.data, size)
	if a.dtype == engine.F32 {
		if v, n := scanFloat32(s.data[s.at:]); n > 0 && s.ends(s.at+n) && s.data[s.at] != '+' {
			engine.Elements[float32](last(engine.Tensor{Data: a.data}, size))[0] = v
			s.at += n
			return nil
		}
	}
	if a.dtype == engine.String {
		if s.peek() != '"' {
			return s.fault("%s where a string was expected", s.found())
		}
		word, err := s.text()
		engine.Elements[int64](last(engine.Tensor{Data: a.data}, size))[0] = a.words.Number([]byte(word))
		return err
	}
	start := s.at
	word := s.token()
	ok := false
	switch string(word) {
	case "NaN", "Infinity", "-Infinity":
		ok = a.dtype == engine.F32 || a.dtype == engine.F64
	case "true", "false":
		ok = a.dtype == engine.Bool
	default:
		_, n := scanDecimal(word)
		ok = n > 0 && n == len(word) && word[0] != '+' && a.dtype != engine.Bool
	}
	if !ok || !storeNumber(last(engine.Tensor{DType: a.dtype, Data: a.data}, size), 0, word) {
		s.at = start
		return s.fault("%s where a %s was expected", s.found(), a.dtype)
	}
	return nil
}

// ends tells whether a number may end before the byte at i.
func (s *scanner) ends(i int) bool {
	if i >= len(s.data) {
		return true
	}
	switch s.data[i] {
	case ' ', '\t', '\r', '\n', ',', ']', '}', '[', '{', '"', ':':
		return true
	}
	return false
}
