package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"castiron.model/internal/engine"
	"castiron.model/internal/enginetest"
)

func newServer() *Server { return New(enginetest.Linear()) }

func call(s *Server, method, path, body string, headers ...string) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// dense drops the space that makes JSON pretty.
func dense(s string) string { return strings.Join(strings.Fields(s), "") }

func TestPredict(t *testing.T) {
	s := newServer()
	tests := []struct{ body, want string }{
		{`{"instances": [[1, 0, 0], [0, 1, 1]]}`, `{"predictions":[[12.0,24.0],[26.0,40.0]]}`},
		{`{"signature_name": "serving_default", "instances": [{"x": [1, 0, 0]}]}`, `{"predictions":[[12.0,24.0]]}`},
		{`{"inputs": [[1, 0, 0]], "ignored": {"a": [null]}}`, `{"outputs":[[12.0,24.0]]}`},
		{`{"inputs": {"x": [[1, 0, 0]]}}`, `{"outputs":[[12.0,24.0]]}`},
		{`{"instances": []}`, `{"predictions":[]}`},
		{`{"inputs": [[NaN, 0, 0], [Infinity, 0, 0], [-Infinity, 0, 0]]}`,
			`{"outputs":[[NaN,NaN],[Infinity,Infinity],[-Infinity,-Infinity]]}`},
		{`{"instances": [[1, 0, 0]], "fetch": ["linear/MatMul"]}`, `{"predictions":[[2.0,4.0]]}`},
		{`{"instances": [[1, 0, 0], [0, 1, 1]], "fetch": ["y", "linear/MatMul"]}`,
			`{"predictions":[{"y":[12.0,24.0],"linear/MatMul":[2.0,4.0]},{"y":[26.0,40.0],"linear/MatMul":[16.0,20.0]}]}`},
		{`{"inputs": {"x": [[1, 0, 0]]}, "fetch": ["linear/b", "y"]}`, `{"outputs":{"linear/b":[10.0,20.0],"y":[[12.0,24.0]]}}`},
		{`{"inputs": {"linear/MatMul": [[1, 2]]}}`, `{"outputs":[[11.0,22.0]]}`},
	}
	for _, test := range tests {
		for _, path := range []string{"/v1/models/linear:predict", "/v1/models/linear/versions/1:predict", "/V1/Models/linear:Predict"} {
			if status, got := call(s, "POST", path, test.body); status != 200 || dense(got) != test.want {
				t.Errorf("%s %s: %d %s\nwant %s", path, test.body, status, got, test.want)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	s := newServer()
	s.MaxBody = 1000
	const predict = "/v1/models/linear:predict"
	tests := []struct {
		method, path, body string
		status             int
		text               string
	}{
		{"POST", predict, ``, 400, "JSON, byte 1: the end of the text where an object was expected"},
		{"POST", predict, `{}`, 400, "Missing 'inputs' or 'instances' key"},
		{"POST", predict, `{"instances": [[1, 2]]}`, 400, "x: shape [1,2] does not fit [batch,3]: dimension 1 is 2, must be 3"},
		{"POST", predict, `{"instances": [1, 2, 3]}`, 400, "x: shape [3] does not fit [batch,3]: it needs 2 dimensions, not 1"},
		{"POST", predict, `{"instances": [["a", 2, 3]]}`, 400, `x: JSON, byte 17: '\"' where a float32 was expected`},
		{"POST", predict, `{"inputs": {"z": [[1, 2, 3]]}}`, 400, `no label \"z\" in this model; nearest: x, y`},
		{"POST", predict, `{"inputs": {}}`, 400, "missing input: feed x"},
		{"POST", predict, `{"instances": [[1,2,3]], "fetch": ["linear/Mat"]}`, 400,
			`no label \"linear/Mat\" in this model; nearest: linear/MatMul, linear/b, linear/w`},
		{"POST", predict, `{"instances": [[1,2,3]], "fetch": ["init"]}`, 400, `label \"init\" (NoOp) has no value`},
		{"POST", predict, `{"instances": [[1,2,3]], "fetch": ["y", "linear/b"]}`, 400,
			`Tensor name: linear/b has no rows, or not as many as the others: use the column form, \"inputs\"`},
		{"POST", predict, `{"signature_name": "other", "instances": [[1,2,3]]}`, 400,
			`Serving signature name: \"other\" not found in signature def: use \"serving_default\"`},
		{"POST", predict, `{"instances": [` + strings.Repeat(" ", 1000) + `]}`, 413, "the body is larger than 1000 bytes"},
		{"GET", predict, "", 405, "GET is not allowed here; use POST"},
		{"POST", "/v1/models/linear", "", 405, "POST is not allowed here; use GET"},
		{"POST", "/v1/models/other:predict", "", 404, "Servable not found for request: Latest(other); this server has linear"},
		{"POST", "/v1/models/linear/versions/2:predict", "", 404,
			"Servable not found for request: Specific(linear, 2); version 1 is served"},
		{"GET", "/v1/models/other", "", 404, "Could not find any versions of model other; this server has linear"},
		{"POST", "/v1/models/linear:regress", "", 501, "regress is not served; use :predict"},
		{"POST", "/v1/models/linear:explain", "", 400, "Malformed request: POST /v1/models/linear:explain"},
		{"GET", "/v1/models/linear/nothing", "", 400, "Malformed request: GET /v1/models/linear/nothing"},
		{"GET", "/v1/modelsx", "", 400, "Malformed request: GET /v1/modelsx"},
		{"GET", "/v2", "", 404, "no page /v2; the model is at /v1/models/linear"},
	}
	for _, test := range tests {
		status, got := call(s, test.method, test.path, test.body)
		if want := `{"error": "` + test.text + "\"}\n"; status != test.status || got != want {
			t.Errorf("%s %s %.60s: %d %s\nwant %d %s", test.method, test.path, test.body, status, got, test.status, want)
		}
	}
}

func TestPages(t *testing.T) {
	s := newServer()
	for path, want := range map[string]string{
		"/":                              `{"status":"alive"}`,
		"/healthz":                       `{"status":"ok"}`,
		"/readyz":                        `{"status":"ready"}`,
		"/v1/models":                     `{"models":["linear"]}`,
		"/v1/models/linear":              `{"model_version_status":[{"version":"1","state":"AVAILABLE","status":{"error_code":"OK","error_message":""}}],"name":"linear","ready":true}`,
		"/v1/models/l%69near/versions/1": `{"model_version_status":[{"version":"1","state":"AVAILABLE","status":{"error_code":"OK","error_message":""}}],"name":"linear","ready":true}`,
		"/v1/models/linear/metadata": `{"model_spec":{"name":"linear","signature_name":"","version":"1"},"metadata":{"signature_def":{"signature_def":{"serving_default":{` +
			`"inputs":{"x":{"dtype":"DT_FLOAT","tensor_shape":{"dim":[{"size":"-1","name":""},{"size":"3","name":""}],"unknown_rank":false},"name":"x:0"}},` +
			`"outputs":{"y":{"dtype":"DT_FLOAT","tensor_shape":{"dim":[{"size":"-1","name":""},{"size":"2","name":""}],"unknown_rank":false},"name":"linear/BiasAdd:0"}},` +
			`"method_name":"tensorflow/serving/predict","defaults":{}}}}}}`,
	} {
		if status, got := call(s, "GET", path, ""); status != 200 || dense(got) != want {
			t.Errorf("%s: %d %s", path, status, got)
		}
	}
}

func TestGzipBodies(t *testing.T) {
	s := newServer()
	s.MaxBody = 10_000
	pack := func(text string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write([]byte(text))
		z.Close()
		return b.String()
	}
	const path = "/v1/models/linear:predict"
	status, got := call(s, "POST", path, pack(`{"instances": [[1, 0, 0]]}`), "Content-Encoding", "gzip")
	if status != 200 || dense(got) != `{"predictions":[[12.0,24.0]]}` {
		t.Errorf("%d %s", status, got)
	}
	if status, got = call(s, "POST", path, pack(strings.Repeat(" ", 1_000_000)), "Content-Encoding", "gzip"); status != 413 {
		t.Errorf("a bomb: %d %s", status, got)
	}
	if status, got = call(s, "POST", path, "no gzip", "Content-Encoding", "gzip"); status != 400 {
		t.Errorf("no gzip: %d %s", status, got)
	}
	if status, got = call(s, "POST", path, "", "Content-Encoding", "br"); status != 400 {
		t.Errorf("brotli: %d %s", status, got)
	}
}

func TestPanicsAreContained(t *testing.T) {
	native := enginetest.LinearNative()
	native.Call = nil
	s := New(engine.New(enginetest.LinearModel(), native))
	if status, got := call(s, "POST", "/v1/models/linear:predict", `{"instances": [[1, 0, 0]]}`); status != 500 || !strings.Contains(got, "internal error") {
		t.Errorf("%d %s", status, got)
	}
}

func TestRandomBodiesGetAnswers(t *testing.T) {
	s := newServer()
	random := rand.New(rand.NewSource(6))
	seed := `{"signature_name": "serving_default", "instances": [{"x": [1, 2e3, NaN]}], "fetch": ["y"]}`
	for range 5000 {
		body := []byte(seed)
		for range 1 + random.Intn(4) {
			body[random.Intn(len(body))] = "[]{},:\"0 1e-NaxX\\\x00\xff"[random.Intn(18)]
		}
		status, got := call(s, "POST", "/v1/models/linear:predict", string(body))
		if status != 200 && status != 400 {
			t.Fatalf("%q: %d %s", body, status, got)
		}
	}
}

// start serves on a free port until the test's end.
func start(t *testing.T, s *Server) (base string, stop func() error) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l, time.Minute, 10*time.Second) }()
	return "http://" + l.Addr().String(), func() error {
		cancel()
		return <-ended
	}
}

func TestManyClients(t *testing.T) {
	base, stop := start(t, newServer())
	var group sync.WaitGroup
	for client := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := range 20 {
				v := client*100 + i
				body := fmt.Sprintf(`{"instances": [[%d, 0, 0]]}`, v)
				r, err := http.Post(base+"/v1/models/linear:predict", "application/json", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				got, _ := io.ReadAll(r.Body)
				r.Body.Close()
				if want := fmt.Sprintf(`{"predictions":[[%d.0,%d.0]]}`, 2*v+10, 4*v+20); dense(string(got)) != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		}()
	}
	group.Wait()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := http.Get(base + "/healthz"); err == nil {
		t.Error("the server still answers")
	}
}

func TestStopWaitsForRequestsUnderWay(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	var once sync.Once
	native := enginetest.LinearNative()
	compute := native.Call
	native.Call = func(entry int32, p *unsafe.Pointer, d *int64, begin, end int64) {
		once.Do(func() {
			entered <- true
			<-leave
		})
		compute(entry, p, d, begin, end)
	}
	base, stop := start(t, New(engine.New(enginetest.LinearModel(), native)))
	answer := make(chan string, 1)
	go func() {
		r, err := http.Post(base+"/v1/models/linear:predict", "application/json", strings.NewReader(`{"instances": [[1, 0, 0]]}`))
		if err != nil {
			answer <- err.Error()
			return
		}
		text, _ := io.ReadAll(r.Body)
		answer <- dense(string(text))
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	select {
	case err := <-stopped:
		t.Fatalf("stopped before the request ended: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	leave <- true
	if got := <-answer; got != `{"predictions":[[12.0,24.0]]}` {
		t.Errorf("the request under way got %s", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestBusyPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	want := l.Addr().String() + " is in use by another program: choose another --port"
	if _, err := Listen(l.Addr().String()); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if _, err := Listen("127.0.0.1:99999"); err == nil {
		t.Error("a port that does not exist is accepted")
	}
}
