package engine_test

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"castiron.model/internal/engine"
	"castiron.model/internal/enginetest"
)

// linear is the reference of enginetest.Linear.
func linear(x []float32) (y []float32) {
	w := [][]float32{{2, 4}, {6, 8}, {10, 12}}
	for i := 0; i+3 <= len(x); i += 3 {
		for j, b := range []float32{10, 20} {
			y = append(y, x[i]*w[0][j]+x[i+1]*w[1][j]+x[i+2]*w[2][j]+b)
		}
	}
	return y
}

func ramp(rows int) []float32 {
	x := make([]float32, 3*rows)
	for i := range x {
		x[i] = float32(i%17) - 8
	}
	return x
}

func matrix(x []float32, columns int64) engine.Tensor {
	return engine.Of(engine.F32, x, int64(len(x))/columns, columns)
}

func check(t *testing.T, got engine.Tensor, want []float32, shape ...int64) {
	t.Helper()
	if !slices.Equal(engine.Elements[float32](got), want) || !slices.Equal(got.Shape, shape) {
		t.Fatalf("got %v %v, want %v %v", got.Shape, engine.Elements[float32](got), shape, want)
	}
}

func TestPredictMatchesReferenceAtManySizes(t *testing.T) {
	e := enginetest.Linear()
	for _, threads := range []int{1, 3, 8} {
		e.SetThreads(threads)
		for _, rows := range []int{1, 0, 2, 5, 1000, 100_003, 1} {
			x := ramp(rows)
			got, err := e.Predict(x)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, linear(x)) {
				t.Fatalf("threads %d, rows %d: wrong result", threads, rows)
			}
			all, err := e.RunAll([]engine.Tensor{matrix(x, 3)})
			if err != nil {
				t.Fatal(err)
			}
			check(t, all[0], linear(x), int64(rows), 2)
		}
	}
}

func TestConcurrentRuns(t *testing.T) {
	e := enginetest.Linear()
	e.SetThreads(2)
	var group sync.WaitGroup
	for g := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := range 50 {
				x := ramp(g*31 + i*7 + 1)
				if got, err := e.Predict(x); err != nil || !slices.Equal(got, linear(x)) {
					t.Errorf("worker %d, call %d: wrong result (%v)", g, i, err)
					return
				}
				got, err := e.Run(map[string]engine.Tensor{"x": matrix(x, 3)}, []string{"linear/MatMul", "y"})
				if err != nil || !slices.Equal(engine.Elements[float32](got[1]), linear(x)) {
					t.Errorf("worker %d, call %d: wrong trace (%v)", g, i, err)
					return
				}
			}
		}()
	}
	group.Wait()
}

func TestFeedsAndFetchesByLabel(t *testing.T) {
	e := enginetest.Linear()
	x := matrix([]float32{1, 0, 0, 0, 1, 1}, 3)
	tests := []struct {
		name  string
		feeds map[string]engine.Tensor
		fetch string
		want  []float32
		shape []int64
	}{
		{"output by name", map[string]engine.Tensor{"x": x}, "y", []float32{12, 24, 26, 40}, []int64{2, 2}},
		{"output by label", map[string]engine.Tensor{"x:0": x}, "linear/BiasAdd:0", []float32{12, 24, 26, 40}, []int64{2, 2}},
		{"inner value", map[string]engine.Tensor{"x": x}, "linear/MatMul", []float32{2, 4, 16, 20}, []int64{2, 2}},
		{"folded constant", nil, "linear/w", []float32{2, 4, 6, 8, 10, 12}, []int64{3, 2}},
		{"feed comes back", map[string]engine.Tensor{"x": x}, "x", []float32{1, 0, 0, 0, 1, 1}, []int64{2, 3}},
		{"inner feed replaces the input", map[string]engine.Tensor{"linear/MatMul": matrix([]float32{1, 2}, 2)}, "y",
			[]float32{11, 22}, []int64{1, 2}},
		{"constant is computed again", map[string]engine.Tensor{"x": x, "linear/w0": matrix([]float32{1, 1, 1, 1, 1, 1}, 2)}, "y",
			[]float32{12, 22, 14, 24}, []int64{2, 2}},
		{"fed constant", map[string]engine.Tensor{"x": x, "linear/w": matrix([]float32{1, 1, 1, 1, 1, 1}, 2)}, "y",
			[]float32{11, 21, 12, 22}, []int64{2, 2}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := e.Run(test.feeds, []string{test.fetch, test.fetch})
			if err != nil {
				t.Fatal(err)
			}
			check(t, got[0], test.want, test.shape...)
			check(t, got[1], test.want, test.shape...)
			if unsafe.SliceData(got[0].Data) == unsafe.SliceData(got[1].Data) {
				t.Fatal("two fetches share memory")
			}
		})
	}
}

func TestErrors(t *testing.T) {
	whole := enginetest.Linear()
	m := enginetest.LinearModel()
	m.Trace = nil
	traceless := engine.New(m, enginetest.LinearNative())
	x := matrix(ramp(2), 3)
	var unknown *engine.UnknownLabelError
	var noValue *engine.NoValueError
	var missing *engine.MissingInputError
	var shape *engine.ShapeError
	var dtype *engine.DTypeError
	tests := []struct {
		name   string
		e      *engine.Engine
		feeds  map[string]engine.Tensor
		fetch  string
		target any
		text   string
	}{
		{"unknown fetch", whole, nil, "linear/BiasAd", &unknown, `no label "linear/BiasAd" in this model; nearest: linear/BiasAdd`},
		{"unknown feed", whole, map[string]engine.Tensor{"BiasAdd": x}, "y", &unknown, `no label "BiasAdd" in this model; nearest: linear/BiasAdd`},
		{"nothing near", whole, nil, "zzzzzzzzz", &unknown, "no label \"zzzzzzzzz\" in this model; `inspect` lists the labels"},
		{"no value", whole, nil, "init", &noValue, `label "init" (NoOp) has no value`},
		{"missing", whole, nil, "y", &missing, "missing input: feed x"},
		{"rank", whole, map[string]engine.Tensor{"x": engine.Of(engine.F32, ramp(1), 3)}, "y", &shape,
			"x: shape [3] does not fit [batch,3]: it needs 2 dimensions, not 1"},
		{"columns", whole, map[string]engine.Tensor{"x": matrix(ramp(2), 2)}, "y", &shape,
			"x: shape [3,2] does not fit [batch,3]: dimension 1 is 2, must be 3"},
		{"length", whole, map[string]engine.Tensor{"x": engine.Of(engine.F32, ramp(1), 2, 3)}, "y", &shape,
			"x: shape [2,3] does not fit [batch,3]: it holds 3 elements"},
		{"batches", whole, map[string]engine.Tensor{"x": x, "linear/MatMul": matrix(ramp(2)[:2], 2)}, "y", &shape,
			"linear/MatMul: shape [1,2] does not fit [batch,2]: dimension 0 is 1, but batch is 2 in this call"},
		{"bool", whole, map[string]engine.Tensor{"x": engine.Of(engine.Bool, make([]bool, 3), 1, 3)}, "y", &dtype,
			"x: bool given, float32 expected"},
		{"no trace, fetch", traceless, map[string]engine.Tensor{"x": x}, "linear/MatMul", &noValue,
			`label "linear/MatMul" is neither an input nor an output, and the binary was built with --no-trace`},
		{"no trace, missing", traceless, nil, "y", &missing, "missing input: feed x"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.e.Run(test.feeds, []string{test.fetch})
			if err == nil || !errors.As(err, test.target) || err.Error() != test.text {
				t.Fatalf("got %T %v\nwant %s", err, err, test.text)
			}
		})
	}
	if _, err := whole.Predict(make([]float32, 4)); !errors.As(err, &shape) {
		t.Errorf("4 values for rows of 3: %v", err)
	}
	if err := whole.PredictInto(make([]float32, 3), make([]float32, 3)); !errors.As(err, &shape) {
		t.Errorf("3 places for 2 results: %v", err)
	}
	if _, err := whole.RunAll(nil); !errors.As(err, &missing) {
		t.Errorf("no inputs: %v", err)
	}
}

func TestHugeShapesAreErrors(t *testing.T) {
	m := enginetest.LinearModel()
	m.Fast.Buffers[4].Shape[1] = engine.Dim{{Coef: 1 << 50, Syms: []int32{0}}}
	e := engine.New(m, enginetest.LinearNative())
	var size *engine.SizeError
	if _, err := e.Predict(ramp(9)); !errors.As(err, &size) {
		t.Fatalf("got %v", err)
	}
	_, err := enginetest.Linear().RunAll([]engine.Tensor{{DType: engine.F32, Shape: []int64{1 << 62, 3}}})
	if !errors.As(err, &size) {
		t.Fatalf("got %v", err)
	}
}

func TestPredictIntoDoesNotAllocate(t *testing.T) {
	e := enginetest.Linear()
	x, y := ramp(1), make([]float32, 2)
	if n := testing.AllocsPerRun(1000, func() { e.PredictInto(y, x) }); n > 0.1 {
		t.Errorf("%v allocations", n)
	}
}

func TestCast(t *testing.T) {
	tests := []struct {
		in   engine.Tensor
		to   engine.DType
		want any
	}{
		{engine.Of(engine.F64, []float64{0.1, math.Inf(1)}, 2), engine.F32, []float32{0.1, float32(math.Inf(1))}},
		{engine.Of(engine.I8, []int8{-3, 4}, 2), engine.F32, []float32{-3, 4}},
		{engine.Of(engine.I64, []int64{1<<53 + 1}, 1), engine.I32, nil},
		{engine.Of(engine.F32, []float32{3, -4}, 2), engine.I8, []int8{3, -4}},
		{engine.Of(engine.F32, []float32{3.5}, 1), engine.I8, nil},
		{engine.Of(engine.F32, []float32{float32(math.NaN())}, 1), engine.I64, nil},
		{engine.Of(engine.F64, []float64{9223372036854775808}, 1), engine.I64, nil},
		{engine.Of(engine.F64, []float64{-9223372036854775808}, 1), engine.I64, []int64{math.MinInt64}},
		{engine.Of(engine.F64, []float64{18446744073709551616}, 1), engine.U64, nil},
		{engine.Of(engine.I64, []int64{math.MaxInt64}, 1), engine.U64, []uint64{math.MaxInt64}},
		{engine.Of(engine.U64, []uint64{math.MaxUint64}, 1), engine.I64, nil},
		{engine.Of(engine.I8, []int8{-1}, 1), engine.U8, nil},
		{engine.Of(engine.Bool, []bool{true}, 1), engine.F32, nil},
		{engine.Of(engine.F32, []float32{1}, 1), engine.Bool, nil},
	}
	for _, test := range tests {
		got, err := engine.Cast("v", test.in, test.to)
		if (err != nil) != (test.want == nil) {
			t.Errorf("%v to %s: error %v", test.in, test.to, err)
			continue
		}
		if err != nil {
			continue
		}
		var elements any
		switch test.to {
		case engine.F32:
			elements = engine.Elements[float32](got)
		case engine.I8:
			elements = engine.Elements[int8](got)
		case engine.I64:
			elements = engine.Elements[int64](got)
		case engine.U64:
			elements = engine.Elements[uint64](got)
		}
		if !reflect.DeepEqual(elements, test.want) {
			t.Errorf("%v to %s: %v, want %v", test.in, test.to, elements, test.want)
		}
	}
}

func TestDimText(t *testing.T) {
	symbols := []string{"batch", "seq"}
	for want, d := range map[string]engine.Dim{
		"0": nil, "7": enginetest.Fixed(7), "batch": enginetest.Batch,
		"2*batch+1":    {{Coef: 2, Syms: []int32{0}}, {Coef: 1}},
		"batch*seq-3":  {{Coef: 1, Syms: []int32{0, 1}}, {Coef: -3}},
		"-seq+4*batch": {{Coef: -1, Syms: []int32{1}}, {Coef: 4, Syms: []int32{0}}},
	} {
		if got := d.Text(symbols); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func BenchmarkPredictInto(b *testing.B) {
	e := enginetest.Linear()
	x, y := ramp(1), make([]float32, 2)
	for b.Loop() {
		e.PredictInto(y, x)
	}
}

func BenchmarkPredict(b *testing.B) {
	e := enginetest.Linear()
	x := ramp(1)
	for b.Loop() {
		e.Predict(x)
	}
}
