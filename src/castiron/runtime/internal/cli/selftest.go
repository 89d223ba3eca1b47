package cli

import (
	"errors"
	"fmt"
	"math"

	"castiron.model/internal/engine"
)

const selftestHelp = `
Every instruction-set level that this processor runs is checked, and the largest error printed,
relative to max(1, the largest expected). The exit code is 1 if one is out of tolerance.

  --per-node  compare the value of every label between the levels, to find where they part
`

func selftest(env *Environment, args *arguments) error {
	perNode := args.Bool("per-node", false, "")
	if err := args.parse(0, 0); err != nil {
		return err
	}
	e, err := env.Load()
	if err != nil {
		return err
	}
	m := e.Model()
	if len(m.Golden) == 0 {
		return errors.New("this binary holds no examples to check against")
	}
	native := e.Native()
	level := native.Level()
	defer native.Use(level)
	if *perNode {
		return compareNodes(env, e)
	}
	var failed error
	for _, level := range native.Levels() {
		if err := native.Use(level); err != nil {
			return err
		}
		worst := 0.0
		for i := range m.Golden {
			inputs, want, err := e.Golden(&m.Golden[i])
			if err != nil {
				return err
			}
			own := len(e.Model().Inputs())
			got, next, err := e.Step(inputs[:own], inputs[own:])
			if err != nil {
				return err
			}
			got = append(got, next...)
			for j := range want {
				worst = max(worst, largestError(got[j], want[j]))
			}
		}
		verdict := "ok"
		if worst > m.Tolerance {
			verdict = "WRONG"
			failed = fmt.Errorf("selftest: instruction-set level %s is off by %.3g, more than %.3g", level, worst, m.Tolerance)
		}
		if _, err := fmt.Fprintf(env.Stdout, "%-8s %d examples  largest error %.3g  tolerance %.3g  %s\n",
			level, len(m.Golden), worst, m.Tolerance, verdict); err != nil {
			return err
		}
	}
	return failed
}

// largestError returns the largest |got-want| as a part of the largest finite |want|, or of 1 if that is more, as builds
// compare: infinity if only one of two is a number, or the shapes differ.
func largestError(got, want engine.Tensor) float64 {
	if got.DType != want.DType || len(got.Data) != len(want.Data) {
		return math.Inf(1)
	}
	a, b := float64s(got), float64s(want)
	worst, scale := 0.0, 1.0
	for _, v := range b {
		if v = math.Abs(v); v > scale && !math.IsInf(v, 0) {
			scale = v
		}
	}
	for i := range a {
		if a[i] == b[i] || a[i] != a[i] && b[i] != b[i] {
			continue
		}
		e := math.Abs(a[i]-b[i]) / scale
		if e != e {
			e = math.Inf(1)
		}
		worst = max(worst, e)
	}
	return worst
}

func float64s(t engine.Tensor) []float64 {
	switch t.DType {
	case engine.Bool:
		t.DType = engine.U8
	case engine.String:
		t.DType = engine.I64
	}
	t, _ = engine.Cast("", t, engine.F64)
	return engine.Elements[float64](t)
}

// compareNodes runs the trace program at every level, and prints for each label how far its value is
// from the lowest level's.
func compareNodes(env *Environment, e *engine.Engine) error {
	m, native := e.Model(), e.Native()
	if m.Trace == nil {
		return errors.New("selftest: --per-node: the binary was built with --no-trace")
	}
	var labels []string
	for i := range m.Labels {
		if m.Labels[i].Buffer >= 0 {
			labels = append(labels, m.Labels[i].Name)
		}
	}
	levels := native.Levels()
	errorsAt := make([][]float64, len(labels))
	for i := range errorsAt {
		errorsAt[i] = make([]float64, len(levels))
	}
	for g := range m.Golden {
		inputs, _, err := e.Golden(&m.Golden[g])
		if err != nil {
			return err
		}
		feeds := make(map[string]engine.Tensor)
		for i, s := range e.Inputs() {
			feeds[s.Label] = inputs[i]
		}
		var lowest []engine.Tensor
		for l, level := range levels {
			if err := native.Use(level); err != nil {
				return err
			}
			values, err := e.Run(feeds, labels)
			if err != nil {
				return err
			}
			if lowest == nil {
				lowest = values
			}
			for i := range labels {
				errorsAt[i][l] = max(errorsAt[i][l], largestError(values[i], lowest[i]))
			}
		}
	}
	rows := [][]string{append([]string{"LABEL"}, levels...)}
	worst, where := 0.0, ""
	for i, label := range labels {
		row := []string{label}
		for l := range levels {
			row = append(row, fmt.Sprintf("%.3g", errorsAt[i][l]))
			if errorsAt[i][l] > worst {
				worst, where = errorsAt[i][l], label
			}
		}
		rows = append(rows, row)
	}
	if _, err := env.Stdout.Write([]byte(table(rows))); err != nil {
		return err
	}
	if worst > m.Tolerance {
		return fmt.Errorf("selftest: levels differ by %.3g at %s, more than %.3g", worst, where, m.Tolerance)
	}
	return nil
}
