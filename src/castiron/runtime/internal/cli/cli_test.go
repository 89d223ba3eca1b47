package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"castiron.model/internal/engine"
	"castiron.model/internal/enginetest"
)

// run runs a command line on the model of enginetest.Linear in a folder that has the given files.
func run(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return runOn(t, enginetest.Linear(), stdin, args...)
}

func runOn(t *testing.T, e *engine.Engine, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stdin")
	if err := os.WriteFile(path, []byte(stdin), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var out, problems bytes.Buffer
	code = Main(&Environment{
		Model: e.Model(), Load: func() (*engine.Engine, error) { return e, nil },
		Stdin: in, Stdout: &out, Stderr: &problems,
	}, args)
	return code, out.String(), problems.String()
}

// folder makes files in a new folder, and goes there until the test's end.
func folder(t *testing.T, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.Getwd()
	if err == nil {
		err = os.Chdir(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chdir(before) })
}

const npy23 = "\x93NUMPY\x01\x00\x37\x00{'descr': '|i1', 'fortran_order': True, 'shape': (2,3)}\x01\x00\x00\x01\x00\x01"

func TestPredict(t *testing.T) {
	folder(t, map[string]string{
		"plain.csv": "1,0,0\n0,1,1\n", "named.csv": "a,b,c\n1,0,0\n0,1,1\n", "rows.json": "[[1,0,0],[0,1,1]]", "rows.npy": npy23,
		"rows.jsonl": "[1,0,0]\n[0,1,1]\n", "h.csv": "1,2\n", "w0.csv": "1,1\n1,1\n1,1\n", "none.csv": "", "text": "1,0,0\n",
	})
	const plain, named = "12.0,24.0\n26.0,40.0\n", "y.0,y.1\n12.0,24.0\n26.0,40.0\n"
	tests := []struct {
		stdin string
		args  string
		want  string
	}{
		{"", "plain.csv", plain},
		{"", "named.csv", named},
		{"", "named.csv --header=false", plain},
		{"", "--header=true plain.csv", named},
		{"", "rows.json", plain},
		{"", "rows.jsonl", plain},
		{"", "rows.npy", plain},
		{"1,0,0\n0,1,1\n", "", plain},
		{"1,0,0\n0,1,1\n", "-", plain},
		{"[[1,0,0],[0,1,1]]", "-", plain},
		{npy23, "- --threads 1", plain},
		{"", "text", "12.0,24.0\n"},
		{"", "none.csv", ""},
		{"", "plain.csv --format json", "[[12.0, 24.0],\n[26.0, 40.0]]\n"},
		{"", "none.csv --format json", "[]\n"},
		{"", "--fetch linear/MatMul plain.csv", "2.0,4.0\n16.0,20.0\n"},
		{"", "plain.csv --fetch y --fetch linear/MatMul", "12.0,24.0,2.0,4.0\n26.0,40.0,16.0,20.0\n"},
		{"", "--fetch linear/b --format json", "[10.0,\n20.0]\n"},
		{"", "--feed linear/MatMul=h.csv", "11.0,22.0\n"},
		{"", "--feed x=plain.csv --fetch y", plain},
		{"", "--feed linear/w0=w0.csv plain.csv", "12.0,22.0\n14.0,24.0\n"},
		{"", "plain.csv --fetch y --fetch linear/b --format json", "{\"y\": [[12.0, 24.0], [26.0, 40.0]],\n\"linear/b\": [10.0, 20.0]}\n"},
	}
	for _, test := range tests {
		code, stdout, stderr := run(t, test.stdin, append([]string{"predict"}, strings.Fields(test.args)...)...)
		if code != 0 || stdout != test.want || stderr != "" {
			t.Errorf("predict %s: %d %q %q\nwant %q", test.args, code, stdout, stderr, test.want)
		}
	}
}

func TestPredictToFile(t *testing.T) {
	folder(t, map[string]string{"in.csv": "1,0,0\n0,1,1\n", "bad.csv": "1,0,0\n0,1\n", "old.csv": "old"})
	for name, want := range map[string]string{
		"out.csv": "12.0,24.0\n26.0,40.0\n", "out.json": "[[12.0, 24.0],\n[26.0, 40.0]]\n", "old.csv": "12.0,24.0\n26.0,40.0\n",
	} {
		code, stdout, stderr := run(t, "", "predict", "-o", name, "in.csv")
		if got, err := os.ReadFile(name); code != 0 || stdout+stderr != "" || err != nil || string(got) != want {
			t.Errorf("%s: %d %q %q, %v", name, code, stdout+stderr, got, err)
		}
	}
	if code, _, stderr := run(t, "", "predict", "in.csv", "-o", "out.npy"); code != 0 {
		t.Error(stderr)
	}
	if code, stdout, stderr := run(t, "", "predict", "--feed", "linear/MatMul=out.npy"); code != 0 || stdout != "22.0,44.0\n36.0,60.0\n" {
		t.Error(code, stdout, stderr)
	}
	code, _, stderr := run(t, "", "predict", "bad.csv", "-o", "old.csv")
	if want := "predictor: bad.csv: row 2 (line 2): 2 columns, expected 3 for x[batch,3]\n"; code != 1 || stderr != want {
		t.Errorf("%d %q", code, stderr)
	}
	if got, _ := os.ReadFile("old.csv"); !strings.HasPrefix(string(got), "12.0") {
		t.Errorf("a failed prediction left %q", got)
	}
	if left, _ := filepath.Glob(".*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestPredictInPiecesEqualsWhole(t *testing.T) {
	var in, want strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&in, "%d,0,0\n", i)
		fmt.Fprintf(&want, "%d.0,%d.0\n", 2*i+10, 4*i+20)
	}
	folder(t, map[string]string{"in.csv": in.String()})
	m := enginetest.LinearModel()
	m.Fast.RowWise = false
	for name, e := range map[string]*engine.Engine{"pieces": enginetest.Linear(), "whole": engine.New(m, enginetest.LinearNative())} {
		if code, stdout, stderr := runOn(t, e, "", "predict", "in.csv"); code != 0 || stdout != want.String() {
			t.Errorf("%s: %d %q", name, code, stderr)
		}
	}
}

func TestErrors(t *testing.T) {
	folder(t, map[string]string{"in.csv": "1,0,0\n", "text.csv": "1,0,0\n1,zero,0\n", "two.csv": "1,2\n3,4\n", "cut.npy": npy23[:70], "empty.json": ""})
	tests := []struct {
		args string
		code int
		want string
	}{
		{"", 2, "no command: use one of inspect, predict, serve, selftest, bench, version, help (see `help`)"},
		{"prdict", 2, "no command \"prdict\": use one of inspect, predict, serve, selftest, bench, version, help (see `help`)"},
		{"predict --nope", 2, "predict: flag provided but not defined: -nope (see `help`)"},
		{"predict in.csv two.csv", 2, "predict: unexpected argument \"two.csv\" (see `help`)"},
		{"predict --feed in.csv", 2, "predict: --feed in.csv: give LABEL=FILE (see `help`)"},
		{"predict in.csv --feed x=in.csv", 2, "predict: in.csv: all inputs are fed by --feed already (see `help`)"},
		{"predict in.csv --format xml", 2, "predict: --format: unknown format \"xml\": use csv, json or npy (see `help`)"},
		{"predict in.csv --header=maybe", 2, "predict: --header must be true or false, not \"maybe\" (see `help`)"},
		{"predict none.csv", 1, "none.csv: no such file or directory"},
		{"predict .", 1, ".: is a folder"},
		{"predict in.csv -o .", 1, ".: is a folder"},
		{"predict in.csv -o no/out.csv", 1, "no/out.csv: no such file or directory"},
		{"predict two.csv", 1, "two.csv: row 1 (line 1): 2 columns, expected 3 for x[batch,3]"},
		{"predict text.csv", 1, "text.csv: row 2 (line 2): column 2 (x.1): \"zero\" is not a number"},
		{"predict cut.npy", 1, "cut.npy: NPY: the file is cut off: it holds 5 bytes of an array of 6"},
		{"predict empty.json", 1, "empty.json: JSON, byte 1: the text is empty"},
		{"predict in.csv --fetch linear/Matmul", 1, "no label \"linear/Matmul\" in this model; nearest: linear/MatMul"},
		{"predict in.csv --fetch init", 1, "label \"init\" (NoOp) has no value"},
		{"predict --feed y=two.csv --fetch linear/MatMul", 1, "missing input: feed x"},
		{"predict --feed x=in.csv --feed linear/MatMul=two.csv", 1, "in.csv and two.csv differ in their number of rows"},
		{"predict in.csv --fetch y --fetch linear/w --format csv", 1,
			"CSV: y has 1 rows and linear/w has 3: fetch them apart, or use JSON"},
		{"predict in.csv --fetch y --fetch linear/MatMul -o out.npy", 1,
			"an NPY file holds one array, not 2: fetch one, or write JSON or CSV"},
		{"serve --port 70000", 2, "serve: --port must be between 0 and 65535 (see `help`)"},
		{"bench --batch 0", 2, "bench: --batch: \"0\" is not a positive number (see `help`)"},
		{"help nothing", 2, "no command \"nothing\": use one of inspect, predict, serve, selftest, bench, version, help (see `help`)"},
	}
	for _, test := range tests {
		code, _, stderr := run(t, "", strings.Fields(test.args)...)
		if want := "predictor: " + test.want + "\n"; code != test.code || stderr != want {
			t.Errorf("%s: %d %q\nwant %d %q", test.args, code, stderr, test.code, want)
		}
	}
	if left, _ := filepath.Glob("*out*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestInspect(t *testing.T) {
	const want = `LABEL           OPERATOR     DTYPE    SHAPE
x               Placeholder  float32  [batch,3]  input
linear/w0       Const        float32  [3,2]
linear/w        Mul          float32  [3,2]
linear/b        Const        float32  [2]
linear/MatMul   MatMul       float32  [batch,2]
linear/BiasAdd  BiasAdd      float32  [batch,2]  output
init            NoOp

SIGNATURE  NAME  DTYPE    SHAPE      LABEL
input      x     float32  [batch,3]  x
output     y     float32  [batch,2]  linear/BiasAdd
`
	if code, stdout, _ := run(t, "", "inspect"); code != 0 || stdout != want {
		t.Errorf("%d\n%s", code, stdout)
	}
	code, stdout, _ := run(t, "", "inspect", "--json")
	for _, want := range []string{
		`"model": "linear"`, `{"label": "x", "op": "Placeholder", "dtype": "float32", "shape": ["batch", 3], "role": "input"},`,
		`{"label": "init", "op": "NoOp", "dtype": "float32", "shape": [], "role": ""}` + "\n  ]",
		`"outputs": [` + "\n" + `    {"name": "y", "label": "linear/BiasAdd", "dtype": "float32", "shape": ["batch", 2]}` + "\n  ]\n}",
	} {
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("no %s in\n%s", want, stdout)
		}
	}
}

func TestSelftest(t *testing.T) {
	code, stdout, _ := run(t, "", "selftest")
	if code != 0 || strings.Count(stdout, "largest error 0  tolerance 1e-06  ok\n") != 2 {
		t.Errorf("%d %s", code, stdout)
	}
	if code, stdout, _ = run(t, "", "selftest", "--per-node"); code != 0 || !strings.Contains(stdout, "linear/MatMul   0    0\n") {
		t.Errorf("%d %s", code, stdout)
	}
	// A wrong expectation must be found.
	m := enginetest.LinearModel()
	m.Golden[0].Outputs[0] = 0
	code, stdout, stderr := runOn(t, engine.New(m, enginetest.LinearNative()), "", "selftest")
	if code != 1 || strings.Count(stdout, "WRONG") != 2 || !strings.Contains(stderr, "selftest: instruction-set level") {
		t.Errorf("%d %s %s", code, stdout, stderr)
	}
}

func TestBenchVersionHelp(t *testing.T) {
	if code, stdout, stderr := run(t, "", "bench", "--batch", "1,7", "--time", "1ms"); code != 0 || strings.Count(stdout, "\n") != 3 {
		t.Errorf("%d %s %s", code, stdout, stderr)
	}
	if code, stdout, _ := run(t, "", "version"); code != 0 || !strings.Contains(stdout, "sha256        00\n") ||
		!strings.Contains(stdout, "instructions  high (this machine runs low, high)\n") {
		t.Errorf("%d %s", code, stdout)
	}
	for _, args := range [][]string{{"help"}, {"--help"}, {"help", "predict"}, {"predict", "--help"}, {"serve", "-h"}} {
		if code, stdout, stderr := run(t, "", args...); code != 0 || stdout == "" || stderr != "" {
			t.Errorf("%v: %d %q %q", args, code, stdout, stderr)
		}
	}
}

func TestMachineThatCannotRunTheModel(t *testing.T) {
	m := enginetest.LinearModel()
	var out, problems bytes.Buffer
	env := &Environment{Model: m, Load: func() (*engine.Engine, error) { return nil, errors.New("this processor is too old") },
		Stdin: os.Stdin, Stdout: &out, Stderr: &problems}
	if code := Main(env, []string{"inspect"}); code != 0 {
		t.Errorf("inspect: %d", code)
	}
	if code := Main(env, []string{"predict", "x.csv"}); code != 1 || problems.String() != "predictor: this processor is too old\n" {
		t.Errorf("predict: %d %s", code, problems.String())
	}
	if code := Main(env, []string{"version"}); code != 0 || !strings.Contains(out.String(), "this processor is too old") {
		t.Errorf("version: %d", code)
	}
}
