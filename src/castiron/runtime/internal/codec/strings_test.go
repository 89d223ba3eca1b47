package codec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"castiron.model/internal/engine"
)

var colours = &engine.Vocabulary{Words: []string{"red", "sky blue", "grün", "a,b", " 5"}}

func wordSpec(name string, shape ...int64) engine.Spec {
	s := spec(name, engine.String, shape...)
	s.Words = colours
	return s
}

// numbers prints the numbers of a tensor's words.
func numbers(t engine.Tensor) string {
	return fmt.Sprint(t.Shape, engine.Elements[int64](t))
}

func TestCSVOfStrings(t *testing.T) {
	mixed := []engine.Spec{spec("n", engine.F32, -1), wordSpec("colour", -1)}
	tests := []struct {
		name, text string
		inputs     []engine.Spec
		header     bool
		want       string
	}{
		{"no names", "1,red\n2,sky blue\n", mixed, false, "[2] [0 1]"},
		{"names", "colour,x,n\nred,a,1\n\"a,b\",b,2\n", mixed, true, "[2] [0 3]"},
		{"other names", "size,what\n1,grün\n2,?\n", mixed, true, "[2] [2 -1]"},
		{"strings alone", "red\nblack\n", []engine.Spec{wordSpec("c", -1)}, false, "[2] [0 -1]"},
		{"a name alone", "c\nred\n5\n", []engine.Spec{wordSpec("c", -1)}, true, "[2] [0 -1]"},
		{"columns", "c.1,c.0\nred,grün\n", []engine.Spec{wordSpec("c", -1, 2)}, true, "[1 2] [2 0]"},
		{"space", "\" 5\"\n 5\n5\n \"red\" \n red \n", []engine.Spec{wordSpec("c", -1)}, false, "[5] [4 4 -1 0 0]"},
		{"empty cells", "1,\n2,red\n", mixed, false, "[2] [-1 0]"},
	}
	for _, test := range tests {
		source, err := NewCSVReader(strings.NewReader(test.text), test.inputs)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		tensors, err := source.Next(10)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got := numbers(tensors[len(tensors)-1]); got != test.want || source.Header != test.header {
			t.Errorf("%s: got %s, header %v", test.name, got, source.Header)
		}
	}
	source, err := NewCSVReader(strings.NewReader("1,red\nred,1\n"), mixed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.Next(10); err == nil || !strings.Contains(err.Error(), `"red" is not a number`) {
		t.Error(err)
	}
}

func TestJSONOfStrings(t *testing.T) {
	inputs := []engine.Spec{wordSpec("c", -1, 2)}
	for text, want := range map[string]string{
		`[["red", "gr\u00fcn"], ["", "a,b"]]`:  "[2 2] [0 2 -1 3]",
		`{"instances": [{"c": ["red", "x"]}]}`: "[1 2] [0 -1]",
		`{"c": [["red", "red"]]}`:              "[1 2] [0 0]",
	} {
		tensors, err := parseDocument([]byte(text), inputs)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := numbers(tensors[0]); got != want {
			t.Errorf("%s: got %s", text, got)
		}
	}
	for _, text := range []string{`[["red", 5]]`, `[["red", null]]`, `[["red", ["red"]]]`, `[["red", "gr`} {
		if _, err := parseDocument([]byte(text), inputs); err == nil {
			t.Errorf("%s was read", text)
		}
	}
	if _, err := parseDocument([]byte(`["red"]`), []engine.Spec{spec("x", engine.F32, -1)}); err == nil {
		t.Error("a string was read as a number")
	}
}

// utf32 is text as NumPy holds it, each string of width characters.
func utf32(order binary.AppendByteOrder, width int, texts ...string) []byte {
	var b []byte
	for _, text := range texts {
		runes := []rune(text)
		for i := range width {
			if i < len(runes) {
				b = order.AppendUint32(b, uint32(runes[i]))
			} else {
				b = order.AppendUint32(b, 0)
			}
		}
	}
	return b
}

func TestNPYOfStrings(t *testing.T) {
	words := []string{"red", "grün", "nothing"}
	tests := map[string][]byte{
		"little-endian": npy(1, "{'descr': '<U7', 'fortran_order': False, 'shape': (3,), }", utf32(binary.LittleEndian, 7, words...)),
		"big-endian":    npy(1, "{'descr': '>U7', 'fortran_order': False, 'shape': (3,), }", utf32(binary.BigEndian, 7, words...)),
		"bytes":         npy(1, "{'descr': '|S8', 'fortran_order': False, 'shape': (3,), }", []byte("red\x00\x00\x00\x00\x00grün\x00\x00\x00nothing\x00")),
	}
	for name, file := range tests {
		for _, rows := range []int{1, All} {
			source, err := newNPYSource(bytes.NewReader(file), []engine.Spec{wordSpec("c", -1)})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var all []int64
			for part, err := source.Next(rows); err == nil; part, err = source.Next(rows) {
				all = append(all, engine.Elements[int64](part[0])...)
			}
			if fmt.Sprint(all) != "[0 2 -1]" {
				t.Errorf("%s: got %v", name, all)
			}
		}
	}
	columns := npy(1, "{'descr': '<U4', 'fortran_order': True, 'shape': (2, 2), }", utf32(binary.LittleEndian, 4, "red", "grün", "a,b", "?"))
	source, err := newNPYSource(bytes.NewReader(columns), []engine.Spec{wordSpec("c", -1, 2)})
	if err != nil {
		t.Fatal(err)
	}
	if part, err := source.Next(All); err != nil || numbers(part[0]) != "[2 2] [0 3 2 -1]" {
		t.Error(part, err)
	}
	vast := npy(1, "{'descr': '<U9999', 'fortran_order': False, 'shape': (999999999999999,), }")
	if _, err := newNPYSource(bytes.NewReader(vast), []engine.Spec{wordSpec("c", -1)}); err == nil {
		t.Error("a vast shape was read")
	}
	for descr, in := range map[string]engine.Spec{"<U3": spec("x", engine.F32, -1), "<f4": wordSpec("c", -1), "<U99999999": wordSpec("c", -1), "<U0": wordSpec("c", -1)} {
		file := npy(1, "{'descr': '"+descr+"', 'fortran_order': False, 'shape': (0,), }")
		if _, err := newNPYSource(bytes.NewReader(file), []engine.Spec{in}); err == nil {
			t.Errorf("%s was read", descr)
		}
	}
}

func TestWritingStrings(t *testing.T) {
	tensor := engine.Of(engine.I64, []int64{0, 3, 2, -1}, 4)
	tensor.DType, tensor.Words = engine.String, colours
	chance := engine.Of(engine.F32, []float32{1, 2, 3, 4}, 2, 2)
	chance.Columns = []string{"a", "b,c"}
	names := spec("chance", engine.F32, -1, 2)
	names.Columns = chance.Columns
	var b bytes.Buffer
	for _, format := range []Format{CSV, JSON, NPY} {
		for _, pair := range []struct {
			spec   engine.Spec
			tensor engine.Tensor
		}{{wordSpec("c", -1), tensor}, {names, chance}} {
			sink, err := NewSink(&b, format, []engine.Spec{pair.spec}, true)
			if err == nil {
				err = sink.Write([]engine.Tensor{pair.tensor})
			}
			if err == nil {
				err = sink.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			if format == NPY {
				break
			}
		}
	}
	text, file, _ := strings.Cut(b.String(), npyMagic)
	want := "c\nred\n\"a,b\"\ngrün\n\nchance.a,\"chance.b,c\"\n1.0,2.0\n3.0,4.0\n" +
		"[\"red\",\n\"a,b\",\n\"grün\",\n\"\"]\n[{\"a\": 1.0, \"b,c\": 2.0},\n{\"a\": 3.0, \"b,c\": 4.0}]\n"
	if text != want {
		t.Errorf("got %q\nwant %q", text, want)
	}
	if !strings.Contains(file, "'descr': '<U8'") || !strings.HasSuffix(file, string(utf32(binary.LittleEndian, 8, "red", "a,b", "grün", ""))) {
		t.Errorf("got %q", file)
	}
}
