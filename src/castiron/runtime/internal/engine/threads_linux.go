package engine

import (
	"runtime"
	"syscall"
	"unsafe"
)

// getcpu is a system call that package syscall doesn't name everywhere.
var getcpu = map[string]uintptr{"amd64": 309, "arm64": 168}[runtime.GOARCH]

// A processors has a bit for each processor.
type processors [16]uint64

// processor returns the number of the one that the caller runs on, or -1.
func processor() int {
	var number uint32
	if _, _, e := syscall.RawSyscall(getcpu, uintptr(unsafe.Pointer(&number)), 0, 0); e != 0 {
		return -1
	}
	return int(number)
}

// elsewhere does work on a thread that stays off a processor, if there are others. Kernels wake a thread where its waker
// runs, which here is busy, when they take the others, asleep in a virtual machine, for unavailable.
func elsewhere(busy int, work func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all processors
	size, _, e := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(all), uintptr(unsafe.Pointer(&all)))
	if e == 0 && busy >= 0 && busy < 64*len(all) {
		others := all
		others[busy/64] &^= 1 << (busy % 64)
		if others != (processors{}) {
			affinity(size, &others)
			defer affinity(size, &all)
		}
	}
	work()
}

func affinity(size uintptr, to *processors) {
	syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, size, uintptr(unsafe.Pointer(to)))
}
