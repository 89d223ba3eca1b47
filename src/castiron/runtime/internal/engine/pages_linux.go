package engine

import (
	"syscall"
	"unsafe"
)

// largePage is what processors look up addresses by at best.
const largePage = 2 << 20

// preferLargePages has the kernel back memory with large pages as it is first touched, instead of with hundreds of small
// ones each. Where it can't, nothing changes.
func preferLargePages(memory []byte) {
	skip := -uintptr(address(memory)) % largePage
	if whole := (uintptr(len(memory)) - skip) &^ (largePage - 1); uintptr(len(memory)) >= skip+largePage {
		_ = syscall.Madvise(unsafe.Slice(&memory[skip], whole), 14) // MADV_HUGEPAGE
	}
}
