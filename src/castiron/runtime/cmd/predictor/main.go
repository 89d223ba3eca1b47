// Predictor inspects, runs and serves the model that it was compiled from.
package main

import (
	"os"

	"castiron.model/internal/cli"
	"castiron.model/internal/linked"
)

func main() {
	os.Exit(cli.Main(&cli.Environment{
		Model:  linked.Model(),
		Load:   linked.Engine,
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
	}, os.Args[1:]))
}
