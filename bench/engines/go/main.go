// A model that castiron compiled into a Go module, one call after another through the module's API.
//
//	main METHOD ROWS.f32 DIMS
//
// METHOD is predict, into or run. ROWS.f32 holds the input's float32 values and DIMS its shape: "1,10".
// The program says "ready" and answers the lines "predict" (with the output's values) and "time N" (with
// the nanoseconds that N calls take).
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"log"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	model "castiron.model"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("wants METHOD ROWS.f32 DIMS")
	}
	predict, ok := methods[os.Args[1]]
	if !ok {
		log.Fatalf("there is no method %q", os.Args[1])
	}
	rows, shape := floats(os.Args[2]), dims(os.Args[3])
	call := predict(rows, shape)
	result := call()
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		count, timed := strings.CutPrefix(lines.Text(), "time ")
		if !timed {
			fmt.Println(strings.Trim(fmt.Sprint(call()), "[]"))
			continue
		}
		calls, err := strconv.Atoi(count)
		if err != nil {
			log.Fatal(err)
		}
		begin := time.Now()
		for range calls {
			result = call()
		}
		fmt.Println(time.Since(begin).Nanoseconds())
	}
	_ = result
}

// methods make a call from the caller's array to an array of results.
var methods = map[string]func(rows []float32, shape []int) func() []float32{
	"predict": func(rows []float32, _ []int) func() []float32 {
		return func() []float32 {
			y, err := model.Predict(rows)
			check(err)
			return y
		}
	},
	"into": func(rows []float32, _ []int) func() []float32 {
		y, err := model.Predict(rows)
		check(err)
		return func() []float32 {
			check(model.PredictInto(y, rows))
			return y
		}
	},
	"run": func(rows []float32, shape []int) func() []float32 {
		feed, fetches := model.Inputs()[0].Name, []string{model.Outputs()[0].Name}
		return func() []float32 {
			x, err := model.FromSlice(rows, shape...)
			check(err)
			results, err := model.Run(map[string]*model.Tensor{feed: x}, fetches)
			check(err)
			return results[0].Float32s()
		}
	},
}

func floats(path string) []float32 {
	data, err := os.ReadFile(path)
	check(err)
	values := make([]float32, len(data)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return values
}

func dims(text string) []int {
	var shape []int
	for _, d := range strings.Split(text, ",") {
		n, err := strconv.Atoi(d)
		check(err)
		shape = append(shape, n)
	}
	return shape
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
