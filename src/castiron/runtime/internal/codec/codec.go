// Package codec reads and writes tensors as CSV, JSON and NPY, in pieces where the format allows.
package codec

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"

	"castiron.model/internal/engine"
)

// A Format is a file format.
type Format string

// The formats.
const (
	CSV  Format = "csv"
	JSON Format = "json"
	NPY  Format = "npy"
)

// All asks a Source for all its rows at once.
const All = math.MaxInt

// A Source reads the values of some inputs, which its constructor was told.
type Source interface {
	// Next returns the next rows, at most as many as asked for: a tensor for each input. After the
	// last rows its error is io.EOF. A file without rows gives tensors without rows once. A tensor
	// without a first dimension, or of rows that cannot be parted, comes whole.
	Next(rows int) ([]engine.Tensor, error)
}

// A Sink writes the values of some outputs.
type Sink interface {
	// Write adds rows: a tensor for each output.
	Write([]engine.Tensor) error
	// Close completes the output. It does not close what is beneath.
	Close() error
}

// FormatOf tells a format from a file's ending; ok is false if it says nothing.
func FormatOf(path string) (f Format, ok bool) {
	path = strings.ToLower(path)
	for _, f := range []Format{CSV, JSON, NPY} {
		if strings.HasSuffix(path, "."+string(f)) {
			return f, true
		}
	}
	if strings.HasSuffix(path, ".jsonl") || strings.HasSuffix(path, ".ndjson") {
		return JSON, true
	}
	return "", false
}

// ParseFormat reads the name of a format.
func ParseFormat(name string) (Format, error) {
	switch f := Format(strings.ToLower(name)); f {
	case CSV, JSON, NPY:
		return f, nil
	}
	return "", fmt.Errorf("unknown format %q: use csv, json or npy", name)
}

// Sniff tells a format from the beginning of the content.
func Sniff(r *bufio.Reader) Format {
	head, _ := r.Peek(512)
	if bytes.HasPrefix(head, []byte(npyMagic)) {
		return NPY
	}
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte(bom)), " \t\r\n")
	if len(head) > 0 && (head[0] == '[' || head[0] == '{') {
		return JSON
	}
	return CSV
}

// bom is the byte order mark that some programs put before UTF-8 text.
const bom = "\xEF\xBB\xBF"

// NewSource reads values of the inputs described from r.
func NewSource(r io.Reader, format Format, inputs []engine.Spec) (Source, error) {
	switch format {
	case CSV:
		return NewCSVReader(r, inputs)
	case JSON:
		return newJSONSource(r, inputs), nil
	}
	return newNPYSource(r, inputs)
}

// NewSink writes values of the outputs described to w. A CSV gets a first line of names if header
// is set.
func NewSink(w io.Writer, format Format, outputs []engine.Spec, header bool) (Sink, error) {
	switch format {
	case CSV:
		return newCSVWriter(w, outputs, header), nil
	case JSON:
		return newJSONSink(w, outputs), nil
	}
	return newNPYSink(w, outputs)
}
