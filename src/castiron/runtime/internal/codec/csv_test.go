package codec

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"castiron.model/internal/engine"
)

// spec describes an input or output; -1 is the batch, -2 another free dimension.
func spec(name string, dtype engine.DType, shape ...int64) engine.Spec {
	s := engine.Spec{Name: name, Label: "label/" + name, DType: dtype, Symbols: []string{"batch", "seq"}, Rows: true}
	for _, d := range shape {
		if d < 0 {
			s.Shape = append(s.Shape, engine.Dim{{Coef: 1, Syms: []int32{int32(-d - 1)}}})
		} else {
			s.Shape = append(s.Shape, engine.Dim{{Coef: d}})
		}
	}
	return s
}

var x3 = []engine.Spec{spec("x", engine.F32, -1, 3)}

// readAll collects what a source gives in pieces of n rows, as the text of tensors.
func readAll(source Source, n int) (texts []string, err error) {
	var parts [][]engine.Tensor
	for {
		part, err := source.Next(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	for i := range parts[0] {
		t := parts[0][i]
		t.Data = slices.Clone(t.Data)
		t.Shape = slices.Clone(t.Shape)
		for _, part := range parts[1:] {
			t.Data = append(t.Data, part[i].Data...)
			t.Shape[0] += part[i].Shape[0]
		}
		texts = append(texts, t.DType.String()+engine.ShapeText(t.Shape)+string(AppendTensor(nil, t)))
	}
	return texts, nil
}

func readCSV(text string, inputs []engine.Spec, n int) (texts []string, header bool, err error) {
	c, err := NewCSVReader(iotest.OneByteReader(strings.NewReader(text)), inputs)
	if err != nil {
		return nil, false, err
	}
	texts, err = readAll(c, n)
	return texts, c.Header, err
}

func TestCSV(t *testing.T) {
	two := []engine.Spec{spec("a", engine.F32, -1, 2), spec("b", engine.I32, -1)}
	tests := []struct {
		name, text string
		inputs     []engine.Spec
		header     bool
		want       string
	}{
		{"plain", "1,2,3\n4,5.5,-6e1\n", x3, false, "float32[2,3][[1.0, 2.0, 3.0], [4.0, 5.5, -60.0]]"},
		{"no last newline", "1,2,3", x3, false, "float32[1,3][[1.0, 2.0, 3.0]]"},
		{"header", "u,v,w\n1,2,3\n", x3, true, "float32[1,3][[1.0, 2.0, 3.0]]"},
		{"byte order mark, CRLF, blank lines", "\xEF\xBB\xBF1,2,3\r\n\r\n  \n4,5,6\r\n\n", x3, false,
			"float32[2,3][[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]"},
		{"byte order mark and header", "\xEF\xBB\xBF\"u\",v,w\r\n1,2,3", x3, true, "float32[1,3][[1.0, 2.0, 3.0]]"},
		{"quotes and spaces", `"1", 2 ,"3"` + "\n" + ` +4,"5" , .5`, x3, false, "float32[2,3][[1.0, 2.0, 3.0], [4.0, 5.0, 0.5]]"},
		{"quoted names", `"u ""1""","v,v",w` + "\n1,2,3", x3, true, "float32[1,3][[1.0, 2.0, 3.0]]"},
		{"not finite", "nan,Inf,-INFINITY\nNaN,+inf,-inf", x3, false,
			"float32[2,3][[NaN, Infinity, -Infinity], [NaN, Infinity, -Infinity]]"},
		{"nothing", "", x3, false, "float32[0,3][]"},
		{"header only", "u,v,w\n", x3, true, "float32[0,3][]"},
		{"two inputs", "1,2,3\n4,5,6", two, false, "float32[2,2][[1.0, 2.0], [4.0, 5.0]] int32[2][3, 6]"},
		{"by name", "b,z,a_1,a_0\n1,text,3,4", two, true, "float32[1,2][[4.0, 3.0]] int32[1][1]"},
		{"by dotted name", "x.2,x.0,x.1,note\n1,2,3,4", x3, true, "float32[1,3][[2.0, 3.0, 1.0]]"},
		{"by label", "label/b,a.0,a.1\n1,2,3", two, true, "float32[1,2][[2.0, 3.0]] int32[1][1]"},
		{"free columns", "1,2\n3,4\n", []engine.Spec{spec("x", engine.F32, -1, -2)}, false, "float32[2,2][[1.0, 2.0], [3.0, 4.0]]"},
		{"free columns of pairs", "1,2,3,4\n", []engine.Spec{spec("x", engine.F32, -1, -2, 2)}, false,
			"float32[1,2,2][[[1.0, 2.0], [3.0, 4.0]]]"},
		{"one number", "7\n", []engine.Spec{spec("x", engine.F64)}, false, "float64[]7.0"},
		{"ints", "1,2.0,-3e0", []engine.Spec{spec("x", engine.I8, -1, 3)}, false, "int8[1,3][[1, 2, -3]]"},
		{"bools", "true,0\nFALSE,1", []engine.Spec{spec("x", engine.Bool, -1, 2)}, false, "bool[2,2][[true, false], [false, true]]"},
		{"large", "9223372036854775807", []engine.Spec{spec("x", engine.I64, -1)}, false, "int64[1][9223372036854775807]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, n := range []int{1, 2, All} {
				got, header, err := readCSV(test.text, test.inputs, n)
				if err != nil || strings.Join(got, " ") != test.want || header != test.header {
					t.Fatalf("in pieces of %d: got %s, header %v, error %v\nwant %s", n, got, header, err, test.want)
				}
			}
		})
	}
}

func TestCSVErrors(t *testing.T) {
	ints := []engine.Spec{spec("n", engine.U8, -1, 2)}
	tests := []struct {
		text   string
		inputs []engine.Spec
		want   string
	}{
		{"1,2\n", x3, "row 1 (line 1): 2 columns, expected 3 for x[batch,3]"},
		{"u,v\n1,2\n", x3, "row 1 (line 1): 2 columns, expected 3 for x[batch,3]"},
		{"u,v,w\n1,2,3\n\n1,2,3,4\n", x3, "row 2 (line 4): 4 columns, expected 3 for x[batch,3]"},
		{"1,2,3\n1,2,3,\n", x3, "row 2 (line 2): 4 columns, expected 3 for x[batch,3]"},
		{"1,2,3\n4,five,6\n", x3, `row 2 (line 2): column 2 (x.1): "five" is not a number`},
		{"1,2,3\n4,,6\n", x3, "row 2 (line 2): column 2 (x.1): empty cell; write nan for a missing number"},
		{"1,2,3\n4,5 5,6\n", x3, `row 2 (line 2): column 2 (x.1): "5 5" is not a number`},
		{"1,2,3\n4,\"5,6\n", x3, "row 2 (line 2): column 2: a quote is not closed in its line"},
		{"1,2,3\n4,\"5\"x,6\n", x3, "row 2 (line 2): column 2: text after a closing quote"},
		{"1,2\n3,4.5\n", ints, `row 2 (line 2): column 2 (n.1): "4.5" is no uint8`},
		{"1,256\n", ints, `row 1 (line 1): column 2 (n.1): "256" is no uint8`},
		{"1,-1\n", ints, `row 1 (line 1): column 2 (n.1): "-1" is no uint8`},
		{"1,2\n", []engine.Spec{spec("x", engine.F32, -1, -2, -3)},
			"x[batch,seq,batch]: the columns of a CSV file cannot tell more than one free dimension; use NPY or JSON"},
	}
	tests[len(tests)-1].inputs[0].Shape[2] = tests[len(tests)-1].inputs[0].Shape[0]
	for _, test := range tests {
		if _, _, err := readCSV(test.text, test.inputs, 10); err == nil || err.Error() != test.want {
			t.Errorf("%q: got %v\nwant %s", test.text, err, test.want)
		}
	}
}

func TestCSVReadErrorsPassThrough(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("1,2,3\n1,2"), iotest.ErrReader(io.ErrClosedPipe))
	c, err := NewCSVReader(broken, x3)
	if err == nil {
		_, err = c.Next(10)
	}
	if err != io.ErrClosedPipe {
		t.Fatal(err)
	}
}

func TestCSVRoundTrip(t *testing.T) {
	random := rand.New(rand.NewSource(3))
	outputs := []engine.Spec{spec("a", engine.F32, -1, 2), spec("b,\"c\"", engine.F64, -1), spec("n", engine.I64, -1, 1, 2)}
	const rows = 1000
	a, b, n := make([]float32, 2*rows), make([]float64, rows), make([]int64, 2*rows)
	for i := range a {
		a[i] = math.Float32frombits(random.Uint32() &^ (1 << 30))
		n[i] = int64(random.Uint64())
		b[i/2] = random.ExpFloat64() * math.Pow(10, float64(random.Intn(600)-300))
	}
	want := []engine.Tensor{engine.Of(engine.F32, a, rows, 2), engine.Of(engine.F64, b, rows), engine.Of(engine.I64, n, rows, 1, 2)}
	var file bytes.Buffer
	sink := newCSVWriter(&file, outputs, true)
	if err := sink.Write(want); err != nil {
		t.Fatal(err)
	}
	if head, _, _ := strings.Cut(file.String(), "\n"); head != `a.0,a.1,"b,""c""",n.0,n.1` {
		t.Errorf("header %s", head)
	}
	c, err := NewCSVReader(&file, outputs)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Next(All)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if !bytes.Equal(got[i].Data, want[i].Data) || !slices.Equal(got[i].Shape, want[i].Shape) {
			t.Errorf("%s differs", outputs[i].Name)
		}
	}
}

// corrupt returns variants of a text: cut, with bytes changed, with pieces repeated.
func corrupt(random *rand.Rand, text []byte) []byte {
	text = slices.Clone(text)
	for range 1 + random.Intn(4) {
		if len(text) == 0 {
			break
		}
		at := random.Intn(len(text))
		switch random.Intn(4) {
		case 0:
			text = text[:at]
		case 1:
			text[at] = byte(random.Intn(256))
		case 2:
			text[at] = ",\"\n\r[]{}:0-+.eN\\'"[random.Intn(16)]
		case 3:
			text = append(text[:at:at], text[max(at-8, 0):]...)
		}
	}
	return text
}

func TestCorruptTextsNeverPanic(t *testing.T) {
	random := rand.New(rand.NewSource(4))
	two := []engine.Spec{spec("a", engine.F32, -1, 2), spec("b", engine.I32, -1)}
	var npy bytes.Buffer
	sink, _ := newNPYSink(&npy, x3)
	sink.Write([]engine.Tensor{engine.Of(engine.F32, make([]float32, 6), 2, 3)})
	sink.Close()
	seeds := []struct {
		text   []byte
		format Format
		inputs []engine.Spec
	}{
		{[]byte("a.0,a.1,b\n1,\"2\",3\n4,5e-3,6\n"), CSV, two},
		{[]byte(`{"instances": [{"a": [1, 2.5e3], "b": 3}, {"a": [NaN, -Infinity], "b": 4}]}`), JSON, two},
		{[]byte(`{"inputs": {"a": [[1, 2]], "b": [3]}, "other": [null, true, "\ud83d\ude00"]}`), JSON, two},
		{[]byte("[1, 2, 3]\n[4, 5, 6]\n"), JSON, x3},
		{[]byte(`[[1, 2, 3], [4, 5, 6]]`), JSON, x3},
		{npy.Bytes(), NPY, x3},
	}
	for range 20_000 {
		seed := seeds[random.Intn(len(seeds))]
		text := corrupt(random, seed.text)
		source, err := NewSource(bytes.NewReader(text), seed.format, seed.inputs)
		for err == nil {
			var tensors []engine.Tensor
			if tensors, err = source.Next(1 + random.Intn(3)); err != nil {
				break
			}
			for _, tensor := range tensors {
				if n, ok := engine.Count(tensor.Shape); !ok || n != int64(tensor.Len()) {
					t.Fatalf("%q: %d elements in shape %v", text, tensor.Len(), tensor.Shape)
				}
			}
		}
		if err != io.EOF && (err.Error() == "" || strings.Contains(err.Error(), "%!")) {
			t.Fatalf("%q: error %q", text, err)
		}
	}
}

func BenchmarkCSV(b *testing.B) {
	random := rand.New(rand.NewSource(5))
	var file bytes.Buffer
	const rows = 10_000
	for range rows {
		for i := range 10 {
			if i > 0 {
				file.WriteByte(',')
			}
			fmt.Fprint(&file, random.NormFloat64())
		}
		file.WriteByte('\n')
	}
	inputs := []engine.Spec{spec("x", engine.F32, -1, 10)}
	for b.Loop() {
		c, _ := NewCSVReader(bytes.NewReader(file.Bytes()), inputs)
		for {
			if _, err := c.Next(4096); err != nil {
				break
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
}
