package codec

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"castiron.model/internal/engine"
)

func readJSON(text string, inputs []engine.Spec, n int) (string, error) {
	texts, err := readAll(newJSONSource(strings.NewReader(text), inputs), n)
	return strings.Join(texts, " "), err
}

func TestJSON(t *testing.T) {
	two := []engine.Spec{spec("a", engine.F32, -1, 2), spec("b", engine.I32, -1)}
	const want3 = "float32[2,3][[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]"
	const want2 = "float32[2,2][[1.0, 2.0], [3.0, 4.0]] int32[2][5, 6]"
	tests := []struct {
		text   string
		inputs []engine.Spec
		want   string
	}{
		{"[[1,2,3],[4,5,6]]", x3, want3},
		{" [ [ 1 , 2.0, 3e0 ] ,\n[4,5,6] ] ", x3, want3},
		{"[1,2,3]\n[4,5,6]\n", x3, want3},
		{"[1,2,3]", x3, "float32[1,3][[1.0, 2.0, 3.0]]"},
		{`{"instances": [[1,2,3],[4,5,6]]}`, x3, want3},
		{`{"signature_name": "s", "instances": [{"x": [1,2,3]},{"x": [4,5,6]}]}`, x3, want3},
		{`{"inputs": [[1,2,3],[4,5,6]]}`, x3, want3},
		{`{"inputs": {"x": [[1,2,3],[4,5,6]]}}`, x3, want3},
		{`{"label/x:0": [[1,2,3],[4,5,6]]}`, x3, want3},
		{`{"x": [1,2,3]}` + "\n" + `{"x": [4,5,6]}`, x3, want3},
		{`{"\u0078": [[1,2,3],[4,5,6]]}`, x3, want3},
		{"[[NaN, Infinity, -Infinity]]", x3, "float32[1,3][[NaN, Infinity, -Infinity]]"},
		{"[]", x3, "float32[0,3][]"},
		{`{"a": [[1,2],[3,4]], "b": [5,6]}`, two, want2},
		{`[{"a": [1,2], "b": 5}, {"b": 6, "a": [3,4]}]`, two, want2},
		{`{"a": [1,2], "b": 5} {"b": 6, "a": [3,4]}`, two, want2},
		{"[true, false]", []engine.Spec{spec("x", engine.Bool, -1)}, "bool[2][true, false]"},
		{"3.5", []engine.Spec{spec("x", engine.F64)}, "float64[]3.5"},
		{"1 2 3", []engine.Spec{spec("x", engine.F64, -1)}, "float64[3][1.0, 2.0, 3.0]"},
	}
	for _, test := range tests {
		for _, n := range []int{1, All} {
			if got, err := readJSON(test.text, test.inputs, n); err != nil || got != test.want {
				t.Errorf("%s in pieces of %d: got %s, error %v\nwant %s", test.text, n, got, err, test.want)
			}
		}
	}
}

func TestJSONErrors(t *testing.T) {
	two := []engine.Spec{spec("a", engine.F32, -1, 2), spec("b", engine.I32, -1)}
	tests := []struct {
		text   string
		inputs []engine.Spec
		want   string
	}{
		{"", x3, "JSON, byte 1: the text is empty"},
		{"[[1,2],[3]]", x3, "x: JSON, byte 11: rows of different lengths: 2 and 1"},
		{"[[1,2],3]", x3, "x: JSON, byte 8: \"3\" where an array was expected: rows of different lengths"},
		{"[[1,2],[[3],4]]", x3, "x: JSON, byte 9: an array where a number was expected: rows of different lengths"},
		{`[["a"]]`, x3, `x: JSON, byte 3: '"' where a float32 was expected`},
		{`[[null]]`, x3, `x: JSON, byte 3: "null" where a float32 was expected`},
		{`[[1.5x]]`, x3, `x: JSON, byte 3: "1.5x" where a float32 was expected`},
		{`[[+1]]`, x3, `x: JSON, byte 3: "+1" where a float32 was expected`},
		{`[[true]]`, x3, `x: JSON, byte 3: "true" where a float32 was expected`},
		{`[[1,2,3]`, x3, `x: JSON, byte 9: the text ends where ']' was expected`},
		{`[[1,2,3] [`, x3, `x: JSON, byte 10: '[' where ',' or ']' was expected`},
		{`{"y": [1]}`, x3, `JSON, byte 6: "y" is not an input`},
		{`{"a": [[1,2]]}`, two, "missing input: feed b"},
		{`[[1,2]]`, two, "JSON, byte 1: the model has 2 inputs: give an object with the names a, b"},
		{`[{"a": [1,2], "b": 1}, {"a": [1,2]}]`, two, `JSON, byte 36: instance 2 and the others have not the same names: see "b"`},
		{`[{"a": [1,2]}, {"a": [1]}]`, two, `JSON, byte 25: instance 2: "a" has another shape than before, or stands twice`},
		{`{"b": [1.5]}`, two, `b: JSON, byte 8: "1.5" where a int32 was expected`},
		{strings.Repeat("[", 100_000), x3, "x: JSON, byte 66: nested deeper than 64"},
		{`{"instances": [[1,2,3]], "z": ` + strings.Repeat("[", 100_000), x3, "JSON, byte 95: nested deeper than 64"},
		{"[[1,2,3]] \x00", x3, `row 2: x: JSON, byte 11: "\x00" where a float32 was expected`},
		{`[1,2,3] x`, x3, `row 2: x: JSON, byte 9: "x" where a float32 was expected`},
	}
	for _, test := range tests {
		_, err := readJSON(test.text, test.inputs, All)
		if err == nil || err.Error() != test.want {
			t.Errorf("%.60s: got %v\nwant %s", test.text, err, test.want)
		}
	}
}

func TestParseRequest(t *testing.T) {
	find := func(name string) (engine.Spec, error) {
		if name == "x" || name == "inner" {
			return spec(name, engine.F32, -1, 3), nil
		}
		return engine.Spec{}, &engine.UnknownLabelError{Label: name}
	}
	r, err := ParseRequest([]byte(`{"fetch": ["a", "b/c"], "extra": {"k": [1, null]}, "signature_name": "s",
		"inputs": {"x": [[1, 2, 3]], "inner": [[4, 5, 6]]}}`), x3, find)
	if err != nil || r.Rows || r.Signature != "s" || !slices.Equal(r.Fetches, []string{"a", "b/c"}) || len(r.Feeds) != 2 {
		t.Fatalf("%+v %v", r, err)
	}
	for body, want := range map[string]string{
		`{}`:                                 "Missing 'inputs' or 'instances' key",
		`[]`:                                 "JSON, byte 1: '[' where an object was expected",
		`{"instances": [], "inputs": []}`:    "JSON, byte 28: not both of 'instances' and 'inputs', and each only once",
		`{"instances": 3}`:                   "JSON, byte 15: \"3\" where an array of rows was expected",
		`{"instances": [[1, 2, 3]]} x`:       `JSON, byte 28: "x" after the request's end`,
		`{"signature_name": 3}`:              `JSON, byte 20: '3' where '"' was expected`,
		`{"instances": [{"b64": "AAAA"}]}`:   "no label \"b64\" in this model; `inspect` lists the labels",
		`{"instances": [[{"b64": "AAAA"}]]}`: `x: JSON, byte 17: '{' where a float32 was expected`,
	} {
		if _, err := ParseRequest([]byte(body), x3, find); err == nil || err.Error() != want {
			t.Errorf("%s: got %v\nwant %s", body, err, want)
		}
	}
	var unknown *engine.UnknownLabelError
	if _, err := ParseRequest([]byte(`{"inputs": {"nope": 1}}`), x3, find); !errors.As(err, &unknown) {
		t.Error(err)
	}
}

func TestJSONSink(t *testing.T) {
	a := engine.Of(engine.F32, []float32{1, 2.5, 3, -4}, 2, 2)
	b := engine.Of(engine.I32, []int32{5, 6}, 2)
	specA, specB := spec("a", engine.F32, -1, 2), spec("b\n\"", engine.I32, -1)
	tests := []struct {
		outputs []engine.Spec
		writes  [][]engine.Tensor
		want    string
	}{
		{[]engine.Spec{specA}, [][]engine.Tensor{{a}, {a}}, "[[1.0, 2.5],\n[3.0, -4.0],\n[1.0, 2.5],\n[3.0, -4.0]]\n"},
		{[]engine.Spec{specA}, [][]engine.Tensor{{engine.NewTensor(engine.F32, []int64{0, 2})}}, "[]\n"},
		{[]engine.Spec{spec("s", engine.F32)}, [][]engine.Tensor{{engine.NewTensor(engine.F32, nil)}}, "0.0\n"},
		{[]engine.Spec{specA, specB}, [][]engine.Tensor{{a, b}, {a, b}},
			"{\"a\": [[1.0, 2.5],\n[3.0, -4.0],\n[1.0, 2.5],\n[3.0, -4.0]],\n\"b\\n\\\"\": [5,\n6,\n5,\n6]}\n"},
	}
	for _, test := range tests {
		var out bytes.Buffer
		sink := newJSONSink(&out, test.outputs)
		for _, w := range test.writes {
			if err := sink.Write(w); err != nil {
				t.Fatal(err)
			}
		}
		if err := sink.Close(); err != nil || out.String() != test.want {
			t.Errorf("got %q, error %v\nwant %q", out.String(), err, test.want)
		}
	}
}
