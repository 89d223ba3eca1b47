package codec

import (
	"encoding/binary"
	"slices"
	"unicode/utf8"

	"castiron.model/internal/engine"
)

// headerOf describes a tensor. Strings get the width of the longest of all words.
func headerOf(t engine.Tensor) *npyHeader {
	h := &npyHeader{dtype: t.DType, shape: slices.Clone(t.Shape)}
	if t.DType == engine.String {
		h.width, h.unit = 1, 4
		for _, word := range t.Words.Words {
			h.width = max(h.width, int64(utf8.RuneCountInString(word)))
		}
	}
	return h
}

// strings turns the bytes of strings in C order into the numbers of their words.
func (h *npyHeader) strings(data []byte, shape []int64, words *engine.Vocabulary) engine.Tensor {
	t := engine.NewTensor(engine.String, shape)
	t.Words = words
	size := int(h.size())
	for i := range t.Len() {
		engine.Elements[int64](t)[i] = words.Number(h.decoded(data[i*size : (i+1)*size]))
	}
	return t
}

// decoded returns a string as UTF-8, without the zeros behind it.
func (h *npyHeader) decoded(element []byte) []byte {
	end := len(element)
	for end > 0 && element[end-1] == 0 {
		end--
	}
	if h.unit == 1 {
		return element[:end]
	}
	var order binary.ByteOrder = binary.LittleEndian
	if h.big {
		order = binary.BigEndian
	}
	text := make([]byte, 0, len(element)/4)
	for at := 0; at < end; at += 4 {
		text = utf8.AppendRune(text, rune(order.Uint32(element[at:])))
	}
	return text
}

// spelled returns strings as NumPy has them: characters of four bytes, zeros behind them.
func (h *npyHeader) spelled(t engine.Tensor) []byte {
	size := int(h.size())
	data := make([]byte, t.Len()*size)
	for i, number := range engine.Elements[int64](t) {
		at := i * size
		for _, r := range t.Words.Word(number) {
			binary.LittleEndian.PutUint32(data[at:], uint32(r))
			at += 4
		}
	}
	return data
}
