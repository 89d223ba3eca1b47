// Command predictor is a stand-in for the runtime: it calls the steps of steps.c and tells what they saw.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"time"
	"unsafe"

	"castiron.model/internal/data"
	"castiron.model/internal/native"
)

// The entries of steps.c.
const (
	affine = iota
	deep
	denormal
	stackOffset
	table
	spin
)

func main() {
	if err := native.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	switch os.Args[1] {
	case "report":
		json.NewEncoder(os.Stdout).Encode(report())
	case "storm":
		storm()
	case "time":
		fmt.Printf("%.2f ns per call\n", nanosPerCall())
	}
}

func call(entry int32, begin, end int64, x []float32) {
	operands := [3]unsafe.Pointer{native.Weights(), nil, unsafe.Pointer(&x[0])}
	symbols := [1]int64{int64(len(x))}
	native.Call(entry, &operands[0], &symbols[0], begin, end)
}

func report() map[string]any {
	x := make([]float32, 64)
	for i := range x {
		x[i] = float32(i)
	}
	call(affine, 8, 24, x)
	d, t, s, deepest := make([]float32, 2), make([]float32, 16), make([]float32, 1), make([]float32, 1)
	call(denormal, 0, 1, d)
	tiny := math.Float32frombits(1)
	tiny = opaque(tiny) * opaque(3)
	call(table, 0, 16, t)
	call(stackOffset, 0, 1, s)
	done := make(chan bool)
	go func() { call(deep, 0, 1, deepest); done <- true }() // starts on the smallest stack
	<-done
	return map[string]any{
		"model":        data.Name,
		"level":        native.Level(),
		"levels":       native.Levels(),
		"affine":       x,
		"deep":         deepest[0],
		"denormal":     d,
		"denormal_go":  math.Float32bits(tiny),
		"table":        t,
		"stack_offset": s[0],
		"weights":      native.WeightsSize(),
		"misaligned":   uintptr(native.Weights()) % 64,
	}
}

//go:noinline
func opaque(x float32) float32 { return x }

// storm calls steps from many goroutines, on fresh and deep stacks, while the garbage collector and the
// profiler interrupt them as often as they can.
func storm() {
	debug.SetGCPercent(1)
	runtime.SetCPUProfileRate(2000)
	pprof.StartCPUProfile(io.Discard)
	defer pprof.StopCPUProfile()
	stop := time.Now().Add(2 * time.Second)
	var all sync.WaitGroup
	for g := range 64 {
		all.Go(func() {
			for round := 0; time.Now().Before(stop); round++ {
				done := make(chan bool)
				go func() { one(g, round%20); done <- true }()
				<-done
			}
		})
	}
	for time.Now().Before(stop) {
		runtime.GC()
	}
	all.Wait()
	fmt.Println("calm")
}

// one checks a call made from depth frames down.
func one(seed, depth int) int {
	if depth > 0 {
		var pad [128]byte
		pad[depth] = byte(seed)
		return one(seed, depth-1) + int(pad[depth+1])
	}
	x := make([]float32, 256)
	for i := range x {
		x[i] = float32(seed)
	}
	call(spin, 0, 200, x)
	for _, v := range x {
		if want := float32(seed + 200); v != want {
			panic(fmt.Sprintf("got %v, want %v", v, want))
		}
	}
	return 0
}

func nanosPerCall() float64 {
	x := make([]float32, 64)
	operands := [3]unsafe.Pointer{native.Weights(), nil, unsafe.Pointer(&x[0])}
	symbols := [1]int64{64}
	best := math.Inf(1)
	for range 20 {
		const calls = 1e6
		began := time.Now()
		for range int(calls) {
			native.Call(affine, &operands[0], &symbols[0], 0, 0)
		}
		best = min(best, float64(time.Since(began).Nanoseconds())/calls)
	}
	return best
}
