package engine

import (
	"slices"
	"strings"
)

// A node is what a name stands for: ports of the fast program, and the buffers of the trace program
// that are fed and fetched by the name, each -1 where there is none. The buffers differ where a state's
// two ends have one name.
type node struct {
	input, output int32
	fed, fetched  int32
	label         *Label
	// words are those of strings, nil for other types.
	words *Vocabulary
}

// find resolves a label, or an input's or output's signature name. TensorFlow's tensor suffix ":0"
// may follow.
func (e *Engine) find(name string) (node, error) {
	e.index.Do(e.buildIndex)
	n, ok := e.nodes[name]
	if !ok {
		if base, cut := strings.CutSuffix(name, ":0"); cut {
			n, ok = e.nodes[base]
		}
	}
	if !ok {
		return node{}, &UnknownLabelError{name, e.nearest(name)}
	}
	return n, nil
}

func (e *Engine) buildIndex() {
	m := e.model
	e.nodes = make(map[string]node, len(m.Labels))
	for i := range m.Labels {
		l := &m.Labels[i]
		if m.Trace == nil {
			e.nodes[l.Name] = node{-1, -1, -1, -1, l, l.Words}
		} else {
			e.nodes[l.Name] = node{-1, -1, l.Buffer, l.Buffer, l, l.Words}
		}
	}
	for i, port := range m.Fast.Inputs {
		e.mark(port, func(n *node) { n.input = int32(i) })
	}
	for i, port := range m.Fast.Outputs {
		e.mark(port, func(n *node) { n.output = int32(i) })
	}
	if m.Trace != nil {
		for _, port := range m.Trace.Inputs {
			e.mark(port, func(n *node) { n.fed, n.fetched = port.Buffer, port.Buffer })
		}
		for _, port := range m.Trace.Outputs {
			e.mark(port, func(n *node) {
				n.fetched = port.Buffer
				if n.input < 0 {
					n.fed = port.Buffer
				}
			})
		}
	}
}

// outputNode is the node of an output by its number.
func (e *Engine) outputNode(i int) node {
	n := node{-1, int32(i), -1, -1, nil, nil}
	if e.model.Trace != nil {
		n.fetched = e.model.Trace.Outputs[i].Buffer
	}
	return n
}

// mark notes something about the node of a port under its label, and under its name unless that is
// the label of another node that has a value.
func (e *Engine) mark(port Port, note func(*node)) {
	n, ok := e.nodes[port.Label]
	if !ok {
		n = node{-1, -1, -1, -1, nil, port.Words}
	}
	if port.Words != nil {
		n.words = port.Words
	}
	note(&n)
	e.nodes[port.Label] = n
	other, known := e.nodes[port.Name]
	if l := other.label; l == nil || l == n.label || l.Name != port.Name || l.Shape == nil {
		alias := n
		if known && port.Name != port.Label {
			alias = other
			note(&alias)
		}
		e.nodes[port.Name] = alias
	}
}

// traceName names a buffer of the trace program.
func (e *Engine) traceName(buffer int32) string {
	p := e.model.Trace
	for _, port := range slices.Concat(p.Inputs, p.Outputs) {
		if port.Buffer == buffer {
			return port.Name
		}
	}
	for i := range e.model.Labels {
		if e.model.Labels[i].Buffer == buffer {
			return e.model.Labels[i].Name
		}
	}
	return "an intermediate value"
}

// nearest returns the names most like the given one, best first.
func (e *Engine) nearest(name string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var near []candidate
	lower := strings.ToLower(name)
	for known := range e.nodes {
		if known == "" {
			continue
		}
		like := strings.ToLower(known)
		d := distance(lower, like)
		// The last part of a path, or a part of it, is what people remember.
		if strings.HasSuffix(like, "/"+lower) || strings.Contains(like, lower) && len(name) > 2 {
			d = min(d, 1)
		}
		if d <= max(len(name)/2, 2) {
			near = append(near, candidate{known, d})
		}
	}
	slices.SortFunc(near, func(a, b candidate) int {
		if a.distance != b.distance {
			return a.distance - b.distance
		}
		return strings.Compare(a.name, b.name)
	})
	var names []string
	for _, c := range near[:min(len(near), 3)] {
		if c.distance <= 2*near[0].distance+1 {
			names = append(names, c.name)
		}
	}
	return names
}

// distance is Levenshtein's: the insertions, deletions and changes of a byte that make a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
