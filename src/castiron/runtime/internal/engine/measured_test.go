package engine_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"castiron.model/internal/engine"
	"castiron.model/internal/enginetest"
)

func vector(t *testing.T, got engine.Tensor, want ...float32) {
	t.Helper()
	if elements := engine.Elements[float32](got); !slices.Equal(got.Shape, []int64{int64(len(want))}) || !slices.Equal(elements, want) {
		t.Errorf("%v %v, want %v", got.Shape, elements, want)
	}
}

func TestOutputsHaveTheSizeThatTheDataSay(t *testing.T) {
	e := enginetest.Positives()
	for _, x := range [][]float32{{1, -2, 3}, {-1}, {}, {5, 6, 7, 8, -9}, {1, -2, 3}, {1, 2, 3}} {
		kept, y := []float32{}, []float32{}
		for _, v := range x {
			if v > 0 {
				kept, y = append(kept, v), append(y, 10*v)
			}
		}
		got, err := e.RunAll([]engine.Tensor{column(x...)})
		if err != nil {
			t.Fatal(err)
		}
		vector(t, got[0], kept...)
		vector(t, got[1], y...)
		if got, err = e.Run(feed(x...), []string{"y", "count", "kept"}); err != nil {
			t.Fatal(err)
		}
		vector(t, got[0], y...)
		vector(t, got[2], kept...)
		if n := engine.Elements[int64](got[1])[0]; n != int64(len(kept)) {
			t.Errorf("count is %d", n)
		}
	}
	if _, err := e.Predict([]float32{1}); err == nil {
		t.Error("a model with sizes that data decide is not from rows to rows")
	}
}

func TestMeasuredSizesAreFedByShape(t *testing.T) {
	e := enginetest.Positives()
	got, err := e.Run(map[string]engine.Tensor{"kept": column(1, 2, 3)}, []string{"y"})
	if err != nil {
		t.Fatal(err)
	}
	vector(t, got[0], 10, 20, 30)
	feeds := feed(1, -1)
	feeds["y"] = column(4)
	if got, err = e.Run(feeds, []string{"y", "kept"}); err != nil {
		t.Fatal(err)
	}
	vector(t, got[0], 4)
	vector(t, got[1], 1)
}

func TestMeasuredSizesThatDisagree(t *testing.T) {
	e := enginetest.Positives()
	feeds := feed(1, -1)
	feeds["y"] = column(4, 5, 6)
	var shape *engine.ShapeError
	if _, err := e.Run(feeds, []string{"y", "kept"}); !errors.As(err, &shape) || shape.Label != "positive" {
		t.Errorf("got %v", err)
	}
	feeds = feed(1)
	feeds["count"] = engine.Of(engine.I64, []int64{-3})
	var size *engine.SizeError
	if _, err := e.Run(feeds, []string{"y"}); !errors.As(err, &size) {
		t.Errorf("got %v", err)
	}
	var missing *engine.MissingInputError
	if _, err := e.Run(map[string]engine.Tensor{"y": column(1)}, []string{"kept"}); !errors.As(err, &missing) {
		t.Errorf("got %v", err)
	}
}

func TestSizesThatNoMachineHas(t *testing.T) {
	e := engine.New(enginetest.PositivesModel(), enginetest.Overcounting(1<<40))
	var size *engine.SizeError
	for _, fetches := range [][]string{{"y"}, {"count", "y"}} {
		if _, err := e.Run(feed(1), fetches); !errors.As(err, &size) {
			t.Errorf("got %v", err)
		}
	}
}

func TestGoldenOutputsOfMeasuredSizes(t *testing.T) {
	e := enginetest.Positives()
	inputs, outputs, err := e.Golden(&e.Model().Golden[0])
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.RunAll(inputs)
	if err != nil {
		t.Fatal(err)
	}
	vector(t, got[0], engine.Elements[float32](outputs[0])...)
	vector(t, got[1], engine.Elements[float32](outputs[1])...)
}

func TestMeasuringConcurrently(t *testing.T) {
	e := enginetest.Positives()
	var group sync.WaitGroup
	for n := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			x := make([]float32, 100*n)
			for i := range x {
				x[i] = float32(i%(n+1) - 1)
			}
			for range 20 {
				got, err := e.RunAll([]engine.Tensor{column(x...)})
				if err != nil {
					t.Error(err)
					return
				}
				kept, y := engine.Elements[float32](got[0]), engine.Elements[float32](got[1])
				for i := range kept {
					if kept[i] <= 0 || y[i] != 10*kept[i] {
						t.Errorf("%v times ten is %v", kept[i], y[i])
					}
				}
			}
		}()
	}
	group.Wait()
}
