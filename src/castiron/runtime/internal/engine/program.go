package engine

// A Program is an ordered list of compiled steps over a table of buffers. The compiler writes
// programs as Go literals (package data); nothing in them is computed at start-up.
type Program struct {
	// Symbols names the free dimensions, such as "batch", those that are measured, and behind them the
	// derived ones, such as "(batch+1)//2". Their values, in this order, are the second argument of
	// every step.
	Symbols []string
	// Derived says how the last symbols are computed from those before them.
	Derived []Derived
	// Measured says how symbols that no input tells become known, in the order of its steps.
	Measured []Measured
	// Buffers is the table of operands. Entries 0 and 1 are the weights and the worker's scratch.
	Buffers []Buffer
	Steps   []Step
	// Inputs and Outputs are the model's own ports, in signature order, and behind them those of its
	// states.
	Inputs  []Port
	Outputs []Port
	// ScratchBytes is the private memory that a worker hands to each step as buffer 1.
	ScratchBytes int64
	// RowWise says that the first dimension of every input and output is Symbols[0] and that row i
	// of each output depends on row i of the inputs alone, so that a long file may be cut into
	// pieces anywhere. In a trace program it speaks of every buffer whose first dimension is
	// Symbols[0].
	RowWise bool
	// Piece is the number of rows that a row-wise program computes at a time for each thread, so that
	// what its steps hand on stays in the cache, or 0 if any number will do.
	Piece int64
}

// Indices of the two buffers that every program has.
const (
	WeightsBuffer = 0
	ScratchBuffer = 1
)

// A Buffer is one operand: a constant in the weights, a region of the arena, or a caller's tensor.
type Buffer struct {
	DType DType
	Shape []Dim
	// Const is the byte offset in the weights, or -1 for a buffer that is not constant.
	Const int64
	// Slot is the arena slot that holds the buffer, or -1. Buffers that are never alive at the same
	// time may share a slot; a slot is as large as the largest of its buffers.
	Slot int32
	// Producer is the step that computes the buffer, or -1. In a trace program a constant may have a
	// producer too: it runs only if a feed changed one of its inputs.
	Producer int32
	// Stage is the stage of the program from which on its size is known (see Measured). Buffers that
	// share a slot have one stage.
	Stage int32
}

// A Step is one call of a compiled function over the tiles [0, ceil(Rows/Block)).
type Step struct {
	// Entry is the function's index in the table of each instruction set.
	Entry  int32
	Reads  []int32
	Writes []int32
	Rows   Dim
	Block  int64
	// TileNanos is the estimated time of one tile, by which calls are cut short enough for the
	// garbage collector and split among threads.
	TileNanos int64
	// Strip tells that a tile takes over from the one before it in the same call what it would else
	// compute again.
	Strip bool
	// Waits are the entries of Measured that the step needs, itself or by the sizes of its buffers.
	Waits []int32
}

// A Port is a named input or output. Name is the signature's name for it, Label the graph's. An
// output that a step writes straight into the caller's tensor has Const and Slot -1; one that is an
// input, a constant, or another output too is copied after the last step.
type Port struct {
	Name, Label string
	Buffer      int32
	// Words are those of strings, nil for other types. Columns are names of the elements of an output's
	// last dimension, nil without such.
	Words   *Vocabulary
	Columns []string
}

// A Dim is a polynomial in the program's symbols: the sum of its terms.
type Dim []Term

// A Term is Coef times the product of the symbols (indices, repeated for powers).
type Term struct {
	Coef int64
	Syms []int32
}

// A Derived is a symbol whose value follows from others: A/B rounded down, or the larger of A and B.
type Derived struct {
	Max  bool
	A, B Dim
}

// A Measured is a symbol that stands for a number the program computes: the int64 in Buffer, which is
// there before Step. Each such step begins a stage of the program.
type Measured struct {
	Symbol, Buffer, Step int32
}

// A Label is a node of the source graph, in the source's order.
type Label struct {
	Name, Op string
	// Buffer is the node's value in the trace program, or -1 where the node has no value (a NoOp) or
	// the binary was built without a trace.
	Buffer int32
	DType  DType
	// Shape has a symbol or an expression in text where a dimension is free: "batch", "2*batch".
	Shape []string
	// Words are those of strings, nil for other types.
	Words *Vocabulary
	// Role is "input", "output", "state" or "".
	Role string
}

// A Golden is one example that the compiler computed: inputs and expected outputs as byte offsets
// in the weights, for the given values of the free symbols.
type Golden struct {
	Symbols []int64
	Inputs  []int64
	Outputs []int64
}

// A Model is everything a binary knows about the model it was built from.
type Model struct {
	Name string
	// Digest is the SHA-256 of the source file (of the sorted contents, for a directory), in hex.
	Digest string
	// Format is the source's format: "keras", "graphdef", "savedmodel".
	Format string
	// Compiler and Toolchain are version strings.
	Compiler, Toolchain string
	// Fast computes outputs from inputs. Trace, nil without it, has a buffer for each label.
	Fast, Trace *Program
	// States holds the byte offsets in the weights of the states' initial values. The last inputs and
	// outputs of both programs are the ends of the states, in this order.
	States []int64
	Labels []Label
	// Verified is the report of the comparison made at build time, in words.
	Verified string
	// Tolerance bounds |got-want| in selftest, as a part of max(1, the largest |want|).
	Tolerance float64
	Golden    []Golden
}
