package engine

import "sync"

// A Vocabulary is the words that strings may be. A string is held as the number of its word, and as
// unknown if it is none of them. It is safe for concurrent use but for Add.
type Vocabulary struct {
	Words []string

	once    sync.Once
	numbers map[string]int64
}

const unknown = -1

// Number returns the number of a word, -1 for a string that is none.
func (v *Vocabulary) Number(word []byte) int64 {
	v.once.Do(v.index)
	if n, ok := v.numbers[string(word)]; ok {
		return n
	}
	return unknown
}

// Word returns the word of a number, "" for one that has none.
func (v *Vocabulary) Word(number int64) string {
	if number < 0 || number >= int64(len(v.Words)) {
		return ""
	}
	return v.Words[number]
}

// Add returns the number of a word, which becomes one if it was none.
func (v *Vocabulary) Add(word string) int64 {
	v.once.Do(v.index)
	n, ok := v.numbers[word]
	if !ok {
		n = int64(len(v.Words))
		v.Words = append(v.Words, word)
		v.numbers[word] = n
	}
	return n
}

func (v *Vocabulary) index() {
	v.numbers = make(map[string]int64, len(v.Words))
	for i, word := range v.Words {
		if _, twice := v.numbers[word]; !twice {
			v.numbers[word] = int64(i)
		}
	}
}

// admit returns what is fed under a name as a buffer's elements: strings as the numbers of the words
// that the model has for them, if it has any, and other types cast.
func admit(name string, t Tensor, words *Vocabulary, dtype DType) (Tensor, error) {
	if words == nil {
		return Cast(name, t, dtype)
	}
	if t.DType != String {
		return Tensor{}, &DTypeError{Label: name, Got: t.DType.String(), Want: String.String()}
	}
	out := Tensor{DType: dtype, Shape: t.Shape, Data: t.Data}
	if t.Words == words {
		return out, nil
	}
	// The tensor's words are translated once each, not once for each of its elements.
	numbers := make([]int64, len(t.Words.Words))
	for i, word := range t.Words.Words {
		numbers[i] = words.Number([]byte(word))
	}
	out.Data = newBytes(int64(len(t.Data)))
	to := Elements[int64](out)
	for i, n := range Elements[int64](t) {
		to[i] = unknown
		if n >= 0 && n < int64(len(numbers)) {
			to[i] = numbers[n]
		}
	}
	return out, nil
}

// spell makes a computed tensor one of strings if there are words for it.
func (t *Tensor) spell(words *Vocabulary) {
	if words != nil {
		t.DType, t.Words = String, words
	}
}
