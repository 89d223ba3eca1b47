package codec

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"castiron.model/internal/engine"
)

// npy makes a file of the given version.
func npy(version byte, dict string, data ...any) []byte {
	var b bytes.Buffer
	b.WriteString(npyMagic)
	b.Write([]byte{version, 0})
	dict += strings.Repeat(" ", 10) + "\n"
	if version == 1 {
		binary.Write(&b, binary.LittleEndian, uint16(len(dict)))
	} else {
		binary.Write(&b, binary.LittleEndian, uint32(len(dict)))
	}
	b.WriteString(dict)
	for _, d := range data {
		if bytes.Contains([]byte(dict), []byte("'>")) {
			binary.Write(&b, binary.BigEndian, d)
		} else {
			binary.Write(&b, binary.LittleEndian, d)
		}
	}
	return b.Bytes()
}

func readNPY(file []byte, in engine.Spec, n int) (string, error) {
	source, err := newNPYSource(bytes.NewReader(file), []engine.Spec{in})
	if err != nil {
		return "", err
	}
	texts, err := readAll(source, n)
	return strings.Join(texts, " "), err
}

func TestNPY(t *testing.T) {
	const want = "float32[2,3][[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]"
	six := []float32{1, 2, 3, 4, 5, 6}
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"float32", npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", six), want},
		{"version 2", npy(2, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", six), want},
		{"version 3", npy(3, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", six), want},
		{"big-endian", npy(1, "{'descr': '>f8', 'fortran_order': False, 'shape': (2, 3), }", []float64{1, 2, 3, 4, 5, 6}), want},
		{"Fortran order", npy(1, "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }", []int16{1, 4, 2, 5, 3, 6}), want},
		{"other spelling", npy(1, `{"shape":(2L,3L),"fortran_order":False,"descr":"|u1"}`, []uint8{1, 2, 3, 4, 5, 6}), want},
		{"int64", npy(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3), }", []int64{1, 2, 3, 4, 5, 6}), want},
		{"float16", npy(1, "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3), }",
			[]uint16{0x3C00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600}), want},
		{"empty", npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }"), "float32[0,3][]"},
		{"one dimension", npy(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (3,), }", six[:3]), "float32[3][1.0, 2.0, 3.0]"},
		{"number", npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }", six[:1]), "float32[]1.0"},
	}
	specs := map[string]engine.Spec{"one dimension": spec("x", engine.F32, -1), "number": spec("x", engine.F32)}
	for _, test := range tests {
		in, ok := specs[test.name]
		if !ok {
			in = x3[0]
		}
		for _, n := range []int{1, All} {
			if got, err := readNPY(test.file, in, n); err != nil || got != test.want {
				t.Errorf("%s in pieces of %d: got %s, error %v", test.name, n, got, err)
			}
		}
	}
}

func TestFloat16(t *testing.T) {
	for h, want := range map[uint16]float32{0: 0, 0x3C00: 1, 0xC000: -2, 0x7BFF: 65504, 0x0400: 0x1p-14, 1: 0x1p-24, 0x03FF: 1023 * 0x1p-24,
		0x7C00: float32(math.Inf(1)), 0xFC00: float32(math.Inf(-1)), 0x3555: 0.333251953125} {
		if got := float16(h); got != want {
			t.Errorf("%#x: %v, want %v", h, got, want)
		}
	}
	if v := float16(0x7E00); v == v {
		t.Error("NaN is lost")
	}
	if !math.Signbit(float64(float16(0x8000))) {
		t.Error("-0 is lost")
	}
}

func TestNPYErrors(t *testing.T) {
	good := npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", make([]float32, 6))
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"text", []byte("1,2,3\n4,5,6\n"), "NPY: the file does not begin as one"},
		{"cut header", good[:30], "NPY: the header is cut off"},
		{"cut data", good[:len(good)-2], "NPY: the file is cut off: it holds 22 bytes of an array of 24"},
		{"version", append([]byte(npyMagic+"\x09"), good[7:]...), "NPY: version 9 of the format is not known"},
		{"objects", npy(1, "{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }"),
			`NPY: dtype "|O": pickled Python objects are not read: save an array of numbers, or one of strings by astype(str)`},
		{"complex", npy(1, "{'descr': '<c8', 'fortran_order': False, 'shape': (2, 3), }"),
			`NPY: dtype "<c8": complex numbers are not read: save an array of numbers`},
		{"records", npy(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }"),
			"NPY: records (structured dtypes) are not read: save an array of numbers"},
		{"huge shape", npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 3), }"),
			"NPY: the shape [4611686018427387904,3] is too large"},
		{"lying shape", npy(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (1000000000, 3), }", []float32{1}),
			"NPY: the file is cut off: it holds 4 bytes of an array of 12000000000"},
		{"columns", npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }"),
			"x: shape [2,4] does not fit [batch,3]: dimension 1 is 4, must be 3"},
		{"rank", npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }"),
			"x: shape [3] does not fit [batch,3]: it needs 2 dimensions, not 1"},
		{"bools", npy(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (1, 3), }", []byte{0, 1, 1}), "x: bool given, float32 expected"},
	}
	for _, test := range tests {
		if _, err := readNPY(test.file, x3[0], All); err == nil || err.Error() != test.want {
			t.Errorf("%s: got %v\nwant %s", test.name, err, test.want)
		}
	}
	for _, dict := range []string{"", "{", "{'descr'", "{'descr': '<f4', }", "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } + 1",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (1 2), }", "__import__('os')"} {
		if _, err := readNPY(npy(1, dict), x3[0], All); err == nil || !strings.Contains(err.Error(), "header is not understood") {
			t.Errorf("%s: %v", dict, err)
		}
	}
}

func TestNPYSinkToFileAndPipe(t *testing.T) {
	part := engine.Of(engine.I16, []int16{1, 2, 3, 4, 5, 6}, 2, 3)
	in := spec("x", engine.I16, -1, 3)
	write := func(sink Sink, err error) {
		t.Helper()
		for range 600 {
			if err == nil {
				err = sink.Write([]engine.Tensor{part})
			}
		}
		if err == nil {
			err = sink.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var pipe bytes.Buffer
	write(newNPYSink(&pipe, []engine.Spec{in}))
	path := filepath.Join(t.TempDir(), "out.npy")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	write(newNPYSink(file, []engine.Spec{in}))
	file.Close()
	written, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(written, pipe.Bytes()) {
		t.Fatalf("file and pipe differ (%v)", err)
	}
	if at := bytes.IndexByte(written, '\n') + 1; at%64 != 0 {
		t.Errorf("the data begins at byte %d", at)
	}
	got, err := readNPY(written, in, 7)
	if want := "int16[1200,3][[1, 2, 3], [4, 5, 6], "; err != nil || !strings.HasPrefix(got, want) {
		t.Fatalf("%.60s %v", got, err)
	}
}
