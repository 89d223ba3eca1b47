//go:build !linux

package engine

func processor() int { return -1 }

func elsewhere(_ int, work func()) { work() }
