// Command embed runs a model that is part of it on the rows of a CSV file.
package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"example.com/model"
)

func main() {
	if err := run(os.Stdin, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "embed:", explain(err))
		os.Exit(1)
	}
}

// run reads rows of the model's first input, with a line of names before them, and writes its first
// output and the values of some labels, a row a line.
func run(r io.Reader, w io.Writer, labels []string) error {
	for _, op := range model.Operations() {
		fmt.Fprintln(w, "#", op.Label, op.Op, op.DType, op.Shape, op.Role)
	}

	rows, err := read(r)
	if err != nil {
		return err
	}
	x, err := model.NewTensor(rows)
	if err != nil {
		return err
	}
	feeds := map[string]*model.Tensor{model.Inputs()[0].Label: x}
	fetches := append([]string{model.Outputs()[0].Label}, labels...)
	results, err := model.Run(feeds, fetches)
	if err != nil {
		return err
	}

	for row := range rows {
		for i, result := range results {
			values, ok := result.Value().([][]float32)
			if !ok {
				return fmt.Errorf("%s is %v, not rows of float32", fetches[i], result)
			}
			fmt.Fprint(w, values[row], " ")
		}
		fmt.Fprintln(w)
	}
	return nil
}

func read(r io.Reader) ([][]float64, error) {
	lines, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(lines) < 2 {
		return nil, errors.New("no rows")
	}
	var rows [][]float64
	for _, line := range lines[1:] {
		row := make([]float64, len(line))
		for i, cell := range line {
			if row[i], err = strconv.ParseFloat(cell, 64); err != nil {
				return nil, err
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// explain puts the model's typed errors in this program's words.
func explain(err error) string {
	var label *model.UnknownLabelError
	var shape *model.ShapeError
	switch {
	case errors.As(err, &label):
		return fmt.Sprintf("there is no %s; did you mean one of %v?", label.Label, label.Nearest)
	case errors.As(err, &shape):
		return fmt.Sprintf("%s takes %v, not %v", shape.Label, shape.Want, shape.Got)
	}
	return err.Error()
}
