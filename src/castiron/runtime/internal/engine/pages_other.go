//go:build !linux

package engine

// preferLargePages leaves the size of pages to the system.
func preferLargePages([]byte) {}
