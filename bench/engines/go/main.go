// A model that castiron compiled into a Go module, one call after another through the module's API.
//
//	main DTYPE ROWS DIMS
//
// DTYPE is float32 or int32, ROWS holds the input's values and DIMS its shape: "1,10".
// The program says "ready" and answers the lines "predict" (with the output's values) and "time N" (with
// the nanoseconds that N calls take).
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	model "castiron.model"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("wants DTYPE ROWS DIMS")
	}
	predict, ok := methods[os.Args[1]]
	if !ok {
		log.Fatalf("there are no inputs of %q", os.Args[1])
	}
	call := predict(os.Args[2], dims(os.Args[3]))
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

// methods make a call from the caller's array to an array of results, by the type of the input's elements.
var methods = map[string]func(path string, shape []int) func() []float32{
	"float32": func(path string, _ []int) func() []float32 {
		rows := read[float32](path)
		return func() []float32 {
			y, err := model.Predict(rows)
			check(err)
			return y
		}
	},
	"int32": func(path string, shape []int) func() []float32 {
		rows := read[int32](path)
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

func read[T float32 | int32](path string) []T {
	file, err := os.Open(path)
	check(err)
	defer file.Close()
	facts, err := file.Stat()
	check(err)
	values := make([]T, facts.Size()/4)
	// Without a copy, which would count as the model's memory.
	_, err = io.ReadFull(file, unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), len(values)*4))
	check(err)
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
