package cli

import (
	"strings"
	"testing"

	"castiron.model/internal/enginetest"
)

func TestPredictStrings(t *testing.T) {
	for _, test := range []struct{ input, want string }{
		{"colour,weight\nred,1\nblack,2\n", "answer,chance.yes,\"chance.no, never\"\nstop,0.0,1.0\nwhat?,-1.0,2.0\n"},
		{`[{"colour": "green", "weight": 3}]`, "go,1.0,3.0\n"},
	} {
		if code, out, said := runOn(t, enginetest.Colours(), test.input, "predict", "-"); code != 0 || out != test.want {
			t.Errorf("%s: %d %q %s", test.input, code, out, said)
		}
	}
	const want = `{"answer": ["stop"],` + "\n" + `"chance": [{"yes": 0.0, "no, never": 1.0}]}` + "\n"
	if code, out, said := runOn(t, enginetest.Colours(), "red,1\n", "predict", "-", "--format", "json"); code != 0 || out != want {
		t.Errorf("%d %q %s", code, out, said)
	}
}

func TestInspectStrings(t *testing.T) {
	_, out, _ := runOn(t, enginetest.Colours(), "", "inspect")
	if !strings.Contains(out, "input      colour  string (3 words)  [batch]    colour\n") {
		t.Errorf("got\n%s", out)
	}
	_, out, _ = runOn(t, enginetest.Colours(), "", "inspect", "--json")
	for _, part := range []string{
		`"dtype": "string", "shape": ["batch"], "words": ["red", "green", "blue"]}`,
		`"dtype": "float32", "shape": ["batch", 2], "columns": ["yes", "no, never"]}`,
	} {
		if !strings.Contains(out, part) {
			t.Errorf("no %s in\n%s", part, out)
		}
	}
}
