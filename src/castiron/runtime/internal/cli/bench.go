package cli

import (
	"fmt"
	"math/rand"
	"slices"
	"strconv"
	"strings"
	"time"

	"castiron.model/internal/engine"
)

const benchHelp = `
  --batch N,N...   sizes of the first free dimension (1, 32 and 1024)
  --time DURATION  time for each size (1s)
  --threads N      use so many processors
`

func bench(env *Environment, args *arguments) error {
	batches := args.String("batch", "1,32,1024", "")
	duration := args.Duration("time", time.Second, "")
	threads := args.Int("threads", 0, "")
	if err := args.parse(0, 0); err != nil {
		return err
	}
	var sizes []int
	for word := range strings.SplitSeq(*batches, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 1 {
			return usagef("bench: --batch: %q is not a positive number", word)
		}
		sizes = append(sizes, n)
	}
	e, err := env.Load()
	if err != nil {
		return err
	}
	if *threads > 0 {
		e.SetThreads(*threads)
	}
	if len(e.Model().Fast.Symbols) == 0 {
		sizes = sizes[:1]
	}
	fmt.Fprintf(env.Stdout, "%8s %14s %14s %16s\n", "batch", "median", "best", "rows/s")
	for _, n := range sizes {
		call, err := prepare(e, int64(n))
		if err != nil {
			return err
		}
		median, best := measure(call, *duration)
		batch := strconv.Itoa(n)
		if len(e.Model().Fast.Symbols) == 0 {
			batch, n = "fixed", 1
		}
		if _, err := fmt.Fprintf(env.Stdout, "%8s %14s %14s %16.0f\n", batch, duration3(median), duration3(best),
			float64(n)/median*1e9); err != nil {
			return err
		}
	}
	return nil
}

// prepare returns one prediction on random rows: normal floats, strings that are the first word, and zeros for other
// types. Free
// dimensions but the first are as in the first example of the selftest.
func prepare(e *engine.Engine, batch int64) (call func(), err error) {
	m := e.Model()
	symbols := make([]int64, m.Fast.Free())
	for i := range symbols {
		symbols[i] = 1
		if len(m.Golden) > 0 {
			symbols[i] = m.Golden[0].Symbols[i]
		}
	}
	if len(symbols) > 0 {
		symbols[0] = batch
	}
	random := rand.New(rand.NewSource(1))
	var inputs []engine.Tensor
	for _, s := range e.Inputs() {
		shape, ok := s.ShapeFor(symbols)
		if !ok {
			return nil, &engine.SizeError{Label: s.Name, Reason: "no tensor"}
		}
		t := engine.NewTensor(s.DType, shape)
		t.Words = s.Words
		if s.DType == engine.F32 {
			for i := range t.Len() {
				engine.Elements[float32](t)[i] = float32(random.NormFloat64())
			}
		}
		inputs = append(inputs, t)
	}
	if _, err := e.RunAll(inputs); err != nil {
		return nil, err
	}
	if src := engine.Elements[float32](inputs[0]); inputs[0].DType == engine.F32 {
		if dst, err := e.Predict(src); err == nil {
			return func() { e.PredictInto(dst, src) }, nil
		}
	}
	return func() { e.RunAll(inputs) }, nil
}

// measure returns the median and the least nanoseconds of a call. Short calls are timed by the
// dozen, so that reading the clock does not count.
func measure(call func(), budget time.Duration) (median, best float64) {
	group := 1
	for start := time.Now(); ; start = time.Now() {
		for range group {
			call()
		}
		if time.Since(start) > 20*time.Microsecond {
			break
		}
		group *= 2
	}
	var times []float64
	for end := time.Now().Add(budget); time.Now().Before(end) && len(times) < 1<<20 || len(times) < 3; {
		start := time.Now()
		for range group {
			call()
		}
		times = append(times, float64(time.Since(start).Nanoseconds())/float64(group))
	}
	slices.Sort(times)
	return times[len(times)/2], times[0]
}

// duration3 prints nanoseconds with a unit that fits.
func duration3(nanos float64) string {
	switch {
	case nanos < 1e3:
		return fmt.Sprintf("%.1f ns", nanos)
	case nanos < 1e6:
		return fmt.Sprintf("%.2f µs", nanos/1e3)
	}
	return fmt.Sprintf("%.2f ms", nanos/1e6)
}
