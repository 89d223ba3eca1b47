package engine

import "slices"

// isLong says whether a run is cut into pieces of rows, each through the whole program.
func (r *runner) isLong(l *layout) bool { return r.Piece > 0 && l.symbols[0] > r.pieceRows() }

// pieceRows is the most rows of a piece.
func (r *runner) pieceRows() int64 { return r.Piece * int64(r.engine.threads) }

// runPieces computes the outputs, which have the sizes of l, from the inputs, in nearly equal pieces.
func (r *runner) runPieces(f *frame, l *layout, inputs, outputs [][]byte) error {
	rows, most := l.symbols[0], r.pieceRows()
	pieces := (rows-1)/most + 1
	symbols := slices.Clone(l.symbols[:r.Free()])
	for i, begin := int64(0), int64(0); i < pieces; i++ {
		symbols[0] = rows / pieces
		if i < rows%pieces {
			symbols[0]++
		}
		end := begin + symbols[0]
		part := func(data []byte) []byte {
			row := int64(len(data)) / rows
			return data[begin*row : end*row]
		}
		piece, err := r.layout.get(r.Program, symbols, 0)
		if err != nil {
			return err
		}
		f.adopt(piece)
		for k, port := range r.Inputs {
			f.table[port.Buffer] = address(part(inputs[k]))
		}
		for k, port := range r.Outputs {
			if r.direct[k] {
				f.table[port.Buffer] = address(part(outputs[k]))
			}
		}
		r.engine.execute(r.Program, f, piece.calls, &piece.symbols[0])
		for k, port := range r.Outputs {
			if !r.direct[k] {
				result := part(outputs[k])
				copy(result, memory(f.table[port.Buffer], int64(len(result))))
			}
		}
		begin = end
	}
	return nil
}
