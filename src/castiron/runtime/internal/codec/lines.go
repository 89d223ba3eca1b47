package codec

import (
	"bytes"
	"fmt"
	"io"
)

// A lineReader cuts what it reads into lines.
type lineReader struct {
	r io.Reader
	// buffer holds what was read; what follows at is still to come.
	buffer []byte
	at     int
	ended  bool
	// line counts the lines, empty ones too; start is where the last one begins.
	line, start int
}

// next returns the next line that is not blank, without its end, or io.EOF. The line is valid until
// the next call.
func (l *lineReader) next() ([]byte, error) {
	for {
		length := bytes.IndexByte(l.buffer[l.at:], '\n')
		searched := len(l.buffer) - l.at
		for length < 0 && !l.ended {
			if err := l.fill(); err != nil {
				return nil, err
			}
			if length = bytes.IndexByte(l.buffer[l.at+searched:], '\n'); length >= 0 {
				length += searched
			}
			searched = len(l.buffer) - l.at
		}
		l.start = l.at
		line := l.buffer[l.at:]
		if length >= 0 {
			line = line[:length]
			l.at += length + 1
		} else {
			l.at = len(l.buffer)
			if len(line) == 0 {
				return nil, io.EOF
			}
		}
		l.line++
		if l.line == 1 {
			line = bytes.TrimPrefix(line, []byte(bom))
		}
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
		if len(line) > 0 && (line[0] > ' ' || len(bytes.TrimSpace(line)) > 0) {
			return line, nil
		}
	}
}

// back makes next return the last line again.
func (l *lineReader) back() {
	l.at = l.start
	l.line--
}

// fill reads more.
func (l *lineReader) fill() error {
	if l.at > 0 {
		l.buffer = l.buffer[:copy(l.buffer, l.buffer[l.at:])]
		l.at = 0
	}
	if len(l.buffer) == cap(l.buffer) {
		if len(l.buffer) >= maxLine {
			return fmt.Errorf("line %d is longer than %d bytes", l.line+1, maxLine)
		}
		l.buffer = append(make([]byte, 0, 2*cap(l.buffer)), l.buffer...)
	}
	for range 100 {
		n, err := l.r.Read(l.buffer[len(l.buffer):cap(l.buffer)])
		l.buffer = l.buffer[:len(l.buffer)+n]
		if err == io.EOF {
			l.ended = true
			return nil
		}
		if n > 0 || err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}
