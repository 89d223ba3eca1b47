package cli

import (
	"fmt"
	"runtime"
	"strings"

	"castiron.model/internal/engine"
)

// facts tells what a binary was made from and with.
func facts(m *engine.Model) [][2]string {
	return [][2]string{
		{"model", m.Name}, {"format", m.Format}, {"sha256", m.Digest},
		{"compiler", m.Compiler}, {"toolchain", m.Toolchain}, {"verified", m.Verified},
	}
}

func version(env *Environment, args *arguments) error {
	if err := args.parse(0, 0); err != nil {
		return err
	}
	lines := append(facts(env.Model), [2]string{"go", runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH})
	if e, err := env.Load(); err != nil {
		lines = append(lines, [2]string{"instructions", err.Error()})
	} else {
		lines = append(lines, [2]string{"instructions", fmt.Sprintf("%s (this machine runs %s)",
			e.Native().Level(), strings.Join(e.Native().Levels(), ", "))})
	}
	for _, pair := range lines {
		if _, err := fmt.Fprintf(env.Stdout, "%-13s %s\n", pair[0], pair[1]); err != nil {
			return err
		}
	}
	return nil
}
