package native

import (
	"runtime"
	"strings"
	"testing"
)

// lowest is the level that every processor that runs Go's tests has.
var lowest = map[string]string{"amd64": "v2", "arm64": "neon"}[runtime.GOARCH]

func reset(t *testing.T) {
	before, beforeChosen, beforeFailure := all, chosen, failure
	t.Cleanup(func() { all, chosen, failure = before, beforeChosen, beforeFailure })
}

func TestWithoutAModel(t *testing.T) {
	if Err() == nil || !strings.Contains(Err().Error(), "no model") {
		t.Errorf("Err() = %v", Err())
	}
	if Level() != "" || len(Levels()) != 0 || Weights() != nil || WeightsSize() != 0 {
		t.Errorf("level %q of %v, %d bytes", Level(), Levels(), WeightsSize())
	}
	if err := Use(lowest); err == nil {
		t.Error("a level without code can be used")
	}
	defer func() {
		if recover() == nil {
			t.Error("a call without code returned")
		}
	}()
	Call(0, nil, nil, 0, 0)
}

func TestStart(t *testing.T) {
	for _, test := range []struct{ isa, level, failure string }{
		{"", lowest, ""},
		{lowest, lowest, ""},
		{"future", "", "CASTIRON_ISA: this processor does not run instruction-set level future; it runs " + lowest},
		{"other", "", `CASTIRON_ISA: there is no instruction-set level "other"`},
	} {
		t.Run(test.isa, func(t *testing.T) {
			reset(t)
			t.Setenv("CASTIRON_ISA", test.isa)
			start([]code{{name: lowest}, {name: "future"}}, nil, 0)
			if Level() != test.level {
				t.Errorf("level %q, want %q", Level(), test.level)
			}
			if err := Err(); (err == nil) != (test.failure == "") || err != nil && !strings.Contains(err.Error(), test.failure) {
				t.Errorf("Err() = %v, want %q", err, test.failure)
			}
		})
	}
}

func TestAProcessorThatIsTooOld(t *testing.T) {
	reset(t)
	t.Setenv("CASTIRON_ISA", "")
	start([]code{{name: "future"}}, nil, 0)
	if Err() == nil || !strings.Contains(Err().Error(), "too old: it does not run future") {
		t.Errorf("Err() = %v", Err())
	}
}
