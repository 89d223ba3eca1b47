package model

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"testing"
)

func TestNewTensorAndValue(t *testing.T) {
	tests := []struct {
		in    any
		text  string
		value any
	}{
		{float32(1.5), "float32[]", float32(1.5)},
		{7, "int64[]", int64(7)},
		{true, "bool[]", true},
		{[]float64{1, 2}, "float64[2]", []float64{1, 2}},
		{[2][3]int8{{1, 2, 3}, {4, 5, 6}}, "int8[2,3]", [][]int8{{1, 2, 3}, {4, 5, 6}}},
		{[][][]uint16{{{1}, {2}}}, "uint16[1,2,1]", [][][]uint16{{{1}, {2}}}},
		{[][]float32{}, "float32[0,0]", [][]float32{}},
		{[]uint{3}, "uint64[1]", []uint64{3}},
		{"text", "string[]", "text"},
		{[][]string{{"a", "b"}, {"b", ""}}, "string[2,2]", [][]string{{"a", "b"}, {"b", ""}}},
	}
	for _, test := range tests {
		got, err := NewTensor(test.in)
		if err != nil {
			t.Errorf("%v: %v", test.in, err)
			continue
		}
		if got.String() != test.text || !reflect.DeepEqual(got.Value(), test.value) {
			t.Errorf("%v: got %v %v", test.in, got, got.Value())
		}
	}
}

func TestStrings(t *testing.T) {
	tensor, err := FromStrings([]string{"a", "b", "a"}, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Strings(tensor); err != nil || !reflect.DeepEqual(got, []string{"a", "b", "a"}) {
		t.Error(got, err)
	}
	var dtype *DTypeError
	if _, err := Elements[int64](tensor); !errors.As(err, &dtype) {
		t.Error(err)
	}
	if got := tensor.Float32s(); got != nil {
		t.Error(got)
	}
	var shape *ShapeError
	if _, err := FromStrings([]string{"a"}, 2); !errors.As(err, &shape) {
		t.Error(err)
	}
}

func TestNewTensorErrors(t *testing.T) {
	var dtype *DTypeError
	for _, bad := range []any{nil, complex(1, 2), []any{"a"}, map[int]int{}, struct{}{}, []any{1.5}} {
		if _, err := NewTensor(bad); !errors.As(err, &dtype) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	var shape *ShapeError
	for _, bad := range []any{[][]int{{1}, {1, 2}}, [][]int{{1, 2}, {1}}, [][]int{{}, {1}}, [][][]int{{{1}}, {}}} {
		if _, err := NewTensor(bad); !errors.As(err, &shape) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := FromSlice([]float32{1, 2, 3}, 2, 2); !errors.As(err, &shape) {
		t.Error(err)
	}
	if _, err := FromSlice([]float32{}, -1, 0); !errors.As(err, &shape) {
		t.Error(err)
	}
}

func TestTensorSharesMemory(t *testing.T) {
	data := []int32{1, 2, 3, 4}
	x, err := FromSlice(data, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	x.Value().([][]int32)[1][0] = 9
	if elements, err := Elements[int32](x); err != nil || elements[2] != 9 || data[2] != 9 {
		t.Fatalf("%v %v %v", data, elements, err)
	}
	if got := x.Float32s(); !slices.Equal(got, []float32{1, 2, 9, 4}) {
		t.Fatal(got)
	}
	var dtype *DTypeError
	if _, err := Elements[float32](x); !errors.As(err, &dtype) {
		t.Fatal(err)
	}
}

// The remaining tests hold for any model.

func anyFeeds(t *testing.T) map[string]*Tensor {
	feeds := make(map[string]*Tensor)
	for _, port := range Inputs() {
		size, shape := 1, []int{}
		for _, text := range port.Shape {
			d, err := strconv.Atoi(text)
			if err != nil {
				d = 1 // a symbol
			}
			size *= d
			shape = append(shape, d)
		}
		x, err := FromSlice(make([]int8, size), shape...)
		if err != nil {
			t.Fatal(err)
		}
		feeds[port.Name] = x
	}
	return feeds
}

func TestRunTheModel(t *testing.T) {
	feeds := anyFeeds(t)
	var names []string
	for _, port := range Outputs() {
		names = append(names, port.Name)
	}
	want, err := Run(feeds, names)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			got, err := Run(feeds, names)
			if err != nil {
				t.Error(err)
				return
			}
			for i := range got {
				if !slices.EqualFunc(got[i].Float32s(), want[i].Float32s(), sameBits) {
					t.Errorf("%s differs between calls", names[i])
				}
			}
		}()
	}
	group.Wait()
}

func sameBits(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }

func TestOperationsMarkInputsAndOutputs(t *testing.T) {
	marks := make(map[string]int)
	for _, op := range Operations() {
		if op.Label == "" || op.Op == "" {
			t.Errorf("nameless operation %+v", op)
		}
		marks[op.Role]++
	}
	if marks["input"] == 0 || marks["output"] == 0 {
		t.Errorf("roles: %v", marks)
	}
}

func TestErrorsOfRun(t *testing.T) {
	var unknown *UnknownLabelError
	if _, err := Run(nil, []string{"no such label here"}); !errors.As(err, &unknown) {
		t.Error(err)
	}
	var missing *MissingInputError
	if _, err := Run(nil, []string{Outputs()[0].Name}); !errors.As(err, &missing) {
		t.Error(err)
	}
}
