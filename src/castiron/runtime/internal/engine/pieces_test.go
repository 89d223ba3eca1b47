package engine_test

import (
	"slices"
	"testing"

	"castiron.model/internal/engine"
	"castiron.model/internal/enginetest"
)

func TestPiecesMakeTheSameResult(t *testing.T) {
	for piece := range int64(5) {
		once, twice := enginetest.LinearModel(), enginetest.LinearModel()
		once.Fast.Piece, twice.Fast.Piece = piece, piece
		twice.Fast.Outputs = append(twice.Fast.Outputs, twice.Fast.Outputs[0]) // a copy
		e, both := engine.New(once, enginetest.LinearNative()), engine.New(twice, enginetest.LinearNative())
		for _, threads := range []int{1, 2} {
			e.SetThreads(threads)
			both.SetThreads(threads)
			for _, rows := range []int{0, 1, 2, 3, 5, 8, 13, 100} {
				x := ramp(rows)
				want := linear(x)
				if got, err := e.Predict(x); err != nil || !slices.Equal(got, want) {
					t.Fatalf("pieces of %d, threads %d, rows %d: %v, %v", piece, threads, rows, got, err)
				}
				all, err := both.RunAll([]engine.Tensor{matrix(x, 3)})
				if err != nil {
					t.Fatal(err)
				}
				for _, got := range all {
					check(t, got, want, int64(rows), 2)
				}
			}
		}
	}
}
