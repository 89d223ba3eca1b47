package cli

import (
	"fmt"
	"io"
	"time"

	"castiron.model/internal/engine"
)

// A progress shows how far a long prediction is, on a terminal only.
type progress struct {
	w             io.Writer
	inputs        []*input
	size          int64
	rows          int64
	start, before time.Time
	shown         bool
}

func newProgress(w io.Writer, inputs []*input) *progress {
	p := &progress{inputs: inputs, start: time.Now()}
	p.before = p.start
	if terminal(w) {
		p.w = w
	}
	for _, in := range inputs {
		p.size += in.size
	}
	return p
}

// add counts rows that were computed.
func (p *progress) add(tensors []engine.Tensor) {
	if p.w == nil || len(tensors) == 0 || len(tensors[0].Shape) == 0 {
		return
	}
	p.rows += tensors[0].Shape[0]
	now := time.Now()
	if now.Sub(p.before) < 200*time.Millisecond {
		return
	}
	p.before = now
	p.shown = true
	read := int64(0)
	for _, in := range p.inputs {
		read += in.read.Load()
	}
	done := ""
	if p.size > 0 {
		const width = 30
		part := float64(min(read, p.size)) / float64(p.size)
		filled := int(part * width)
		done = fmt.Sprintf("[%-*.*s] %3.0f%%  ", width, filled, "##############################", 100*part)
	}
	fmt.Fprintf(p.w, "\r%s%d rows, %.0f rows/s\x1b[K", done, p.rows, float64(p.rows)/now.Sub(p.start).Seconds())
}

// end clears the line.
func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
