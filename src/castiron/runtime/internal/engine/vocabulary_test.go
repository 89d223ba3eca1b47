package engine_test

import (
	"errors"
	"fmt"
	"testing"

	"castiron.model/internal/engine"
	"castiron.model/internal/enginetest"
)

// words returns a tensor of strings with a vocabulary of its own.
func words(list ...string) engine.Tensor {
	v := &engine.Vocabulary{}
	numbers := make([]int64, len(list))
	for i, word := range list {
		numbers[i] = v.Add(word)
	}
	t := engine.Of(engine.I64, numbers, int64(len(list)))
	t.DType, t.Words = engine.String, v
	return t
}

func spelled(t engine.Tensor) (list []string) {
	for _, n := range engine.Elements[int64](t) {
		list = append(list, t.Words.Word(n))
	}
	return list
}

func TestStringsGoThroughTheModel(t *testing.T) {
	e := enginetest.Colours()
	colour, weight := words("blue", "pink", "red", "pink", "green"), engine.Of(engine.F32, []float32{1, 2, 3, 4, 5}, 5)
	outputs, err := e.RunAll([]engine.Tensor{colour, weight})
	if err != nil {
		t.Fatal(err)
	}
	const want = "[go what? stop what? go]"
	if got := fmt.Sprint(spelled(outputs[0])); got != want || outputs[0].DType != engine.String {
		t.Errorf("got %v", got)
	}
	if got := fmt.Sprint(outputs[1].Columns, engine.Elements[float32](outputs[1])[:4]); got != "[yes no, never] [2 1 -1 2]" {
		t.Errorf("got %v", got)
	}
	feeds := map[string]engine.Tensor{"colour": colour, "weight": weight}
	for _, fetches := range [][]string{{"answer"}, {"answer", "colour"}} {
		outputs, err := e.Run(feeds, fetches)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(spelled(outputs[0])); got != want {
			t.Errorf("%v: got %v", fetches, got)
		}
		if len(outputs) > 1 && fmt.Sprint(spelled(outputs[1])) != "[blue  red  green]" {
			t.Errorf("got %q", spelled(outputs[1]))
		}
	}
}

func TestStringsAndNumbersAreNotTakenForEachOther(t *testing.T) {
	e := enginetest.Colours()
	number := engine.Of(engine.I64, []int64{0}, 1)
	var dtype *engine.DTypeError
	for _, feeds := range [][]engine.Tensor{{number, number}, {words("red"), words("red")}} {
		if _, err := e.RunAll(feeds); !errors.As(err, &dtype) {
			t.Error(err)
		}
		if _, err := e.Run(map[string]engine.Tensor{"colour": feeds[0], "weight": feeds[1]}, []string{"colour", "answer"}); !errors.As(err, &dtype) {
			t.Error(err)
		}
	}
}
