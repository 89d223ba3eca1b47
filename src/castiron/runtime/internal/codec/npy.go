package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"castiron.model/internal/engine"
)

// An npySource reads one array, by rows if it is in C order. Tensors and files are little-endian
// alike on the processors that there is code for.
type npySource struct {
	r      io.Reader
	input  engine.Spec
	header *npyHeader
	left   int64 // rows that were not read yet
	read   int64
	served bool
	slicer // of an array in Fortran order, which is read whole
}

func newNPYSource(r io.Reader, inputs []engine.Spec) (*npySource, error) {
	h, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	if len(inputs) != 1 {
		return nil, fmt.Errorf("NPY: the file holds one array, but there are %d inputs: give each its own with --feed", len(inputs))
	}
	if err := h.fits(&inputs[0]); err != nil {
		return nil, err
	}
	n := &npySource{r: r, input: inputs[0], header: h, left: 1}
	if len(h.shape) > 0 {
		n.left = h.shape[0]
	}
	return n, nil
}

// fits checks an array against what it is to feed, as far as its header can tell.
func (h *npyHeader) fits(in *engine.Spec) error {
	if (h.dtype == engine.Bool) != (in.DType == engine.Bool) || (h.dtype == engine.String) != (in.DType == engine.String) {
		return &engine.DTypeError{Label: in.Name, Got: h.dtype.String(), Want: in.DType.String()}
	}
	misfit := &engine.ShapeError{Label: in.Name, Got: h.shape, Want: in.ShapeText()}
	if len(h.shape) != len(in.Shape) {
		misfit.Reason = fmt.Sprintf("it needs %d dimensions, not %d", len(in.Shape), len(h.shape))
		return misfit
	}
	for i, d := range in.Shape {
		if want, static := d.Static(); static && want != h.shape[i] {
			misfit.Reason = fmt.Sprintf("dimension %d is %d, must be %d", i, h.shape[i], want)
			return misfit
		}
	}
	return nil
}

func (n *npySource) Next(rows int) ([]engine.Tensor, error) {
	h := n.header
	if h.fortran && len(h.shape) > 1 {
		if n.all == nil {
			data, err := n.elements(h.shape)
			if err != nil {
				return nil, err
			}
			t, err := n.tensor(transpose(data, h.shape, h.size()), h.shape)
			if err != nil {
				return nil, err
			}
			n.all = []engine.Tensor{t}
		}
		return n.next(rows)
	}
	if n.left == 0 && n.served {
		return nil, io.EOF
	}
	n.served = true
	shape := slices.Clone(h.shape)
	count := min(n.left, int64(rows))
	if len(shape) > 0 {
		shape[0] = count
	}
	n.left -= count
	data, err := n.elements(shape)
	if err != nil {
		return nil, err
	}
	t, err := n.tensor(data, shape)
	return []engine.Tensor{t}, err
}

// elements reads the bytes of an array. Memory is taken as they come, since a header may lie.
func (n *npySource) elements(shape []int64) ([]byte, error) {
	count, _ := engine.Count(shape)
	total := int(count * n.header.size())
	data := alignedBytes(min(total, 1<<20))[:0]
	for len(data) < total {
		from := len(data)
		data = extend(data, min(total-from, max(from, 1<<20)))
		got, err := io.ReadFull(n.r, data[from:])
		n.read += int64(got)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				all, _ := engine.Count(n.header.shape)
				err = fmt.Errorf("NPY: the file is cut off: it holds %d bytes of an array of %d", n.read, all*n.header.size())
			}
			return nil, err
		}
	}
	return data, nil
}

// tensor turns bytes in C order into a tensor of the input's type.
func (n *npySource) tensor(data []byte, shape []int64) (engine.Tensor, error) {
	h := n.header
	if h.dtype == engine.String {
		return h.strings(data, shape, n.input.Words), nil
	}
	if h.big {
		swap(data, int(h.size()))
	}
	if h.half {
		wide := alignedBytes(2 * len(data))
		floats := engine.Elements[float32](engine.Tensor{Data: wide})
		for i := range floats {
			floats[i] = float16(binary.LittleEndian.Uint16(data[2*i:]))
		}
		data = wide
	}
	if h.dtype == engine.Bool {
		for i, b := range data {
			if b != 0 {
				data[i] = 1
			}
		}
	}
	return engine.Cast(n.input.Name, engine.Tensor{DType: h.dtype, Shape: shape, Data: data}, n.input.DType)
}

// swap reverses the bytes of each element.
func swap(data []byte, size int) {
	for ; len(data) >= size; data = data[size:] {
		slices.Reverse(data[:size])
	}
}

// transpose turns an array in Fortran order, the first index running fastest, into C order.
func transpose(data []byte, shape []int64, size int64) []byte {
	out := alignedBytes(len(data))
	strides := make([]int64, len(shape))
	stride := size
	for i, d := range shape {
		strides[i] = stride
		stride *= d
	}
	index := make([]int64, len(shape))
	from := int64(0)
	for to := int64(0); to < int64(len(out)); to += size {
		copy(out[to:to+size], data[from:from+size])
		for axis := len(shape) - 1; axis >= 0; axis-- {
			index[axis]++
			from += strides[axis]
			if index[axis] < shape[axis] {
				break
			}
			from -= strides[axis] * shape[axis]
			index[axis] = 0
		}
	}
	return out
}

// An npySink writes one array. Where it can seek it writes rows as they come and the header once
// more at the end; elsewhere it keeps them until then.
type npySink struct {
	w      io.Writer
	seeker io.WriteSeeker
	start  int64
	header *npyHeader
	length int // of the header in the file
	kept   [][]byte
}

func newNPYSink(w io.Writer, outputs []engine.Spec) (*npySink, error) {
	if len(outputs) != 1 {
		return nil, fmt.Errorf("an NPY file holds one array, not %d: fetch one, or write JSON or CSV", len(outputs))
	}
	n := &npySink{w: w}
	if seeker, ok := w.(io.WriteSeeker); ok {
		if at, err := seeker.Seek(0, io.SeekCurrent); err == nil {
			n.seeker, n.start = seeker, at
		}
	}
	return n, nil
}

func (n *npySink) Write(tensors []engine.Tensor) error {
	t := tensors[0]
	if n.header == nil {
		n.header = headerOf(t)
		if n.seeker != nil {
			text := n.header.text()
			n.length = len(text)
			if _, err := n.w.Write(text); err != nil {
				return err
			}
		}
	} else {
		n.header.shape[0] += t.Shape[0]
	}
	data := t.Data
	if t.DType == engine.String {
		data = n.header.spelled(t)
	}
	if n.seeker == nil {
		n.kept = append(n.kept, data)
		return nil
	}
	_, err := n.w.Write(data)
	return err
}

func (n *npySink) Close() error {
	if n.header == nil {
		return nil
	}
	text := n.header.text()
	if n.seeker == nil {
		for _, part := range slices.Insert(n.kept, 0, text) {
			if _, err := n.w.Write(part); err != nil {
				return err
			}
		}
		return nil
	}
	if len(text) != n.length {
		return fmt.Errorf("NPY: the header does not fit its place")
	}
	if _, err := n.seeker.Seek(n.start, io.SeekStart); err != nil {
		return err
	}
	if _, err := n.w.Write(text); err != nil {
		return err
	}
	_, err := n.seeker.Seek(0, io.SeekEnd)
	return err
}
