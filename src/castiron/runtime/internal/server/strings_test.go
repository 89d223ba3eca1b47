package server

import (
	"strings"
	"testing"

	"castiron.model/internal/enginetest"
)

func TestStringsAreServed(t *testing.T) {
	s := New(enginetest.Colours())
	status, body := call(s, "POST", "/v1/models/colours:predict", `{"instances": [{"colour": "red", "weight": 2}]}`)
	if status != 200 || !strings.Contains(body, `"answer": "stop"`) || !strings.Contains(body, `"chance": {"yes": 0.0, "no, never": 2.0}`) {
		t.Errorf("%d %s", status, body)
	}
	status, body = call(s, "POST", "/v1/models/colours:predict", `{"inputs": {"colour": ["?"], "weight": [2]}}`)
	if status != 200 || !strings.Contains(body, `"answer": ["what?"]`) {
		t.Errorf("%d %s", status, body)
	}
	if status, body = call(s, "POST", "/v1/models/colours:predict", `{"instances": [{"colour": 5, "weight": 2}]}`); status != 400 {
		t.Errorf("%d %s", status, body)
	}
	if _, body = call(s, "GET", "/v1/models/colours/metadata", ""); !strings.Contains(body, "DT_STRING") {
		t.Error(body)
	}
}
