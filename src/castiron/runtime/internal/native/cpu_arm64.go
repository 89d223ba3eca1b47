package native

// runs tells whether this processor runs a level: Go itself needs NEON on arm64.
func runs(name string) bool { return name == "neon" }
