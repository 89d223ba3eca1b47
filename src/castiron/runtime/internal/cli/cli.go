// Package cli is the command line of a compiled model.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"castiron.model/internal/engine"
)

// An Environment is what the commands work on.
type Environment struct {
	Model *engine.Model
	// Load returns the engine, or says why this machine cannot run the model.
	Load           func() (*engine.Engine, error)
	Stdin          *os.File
	Stdout, Stderr io.Writer
}

type command struct {
	name, usage, summary string
	run                  func(*Environment, *arguments) error
	help                 string
}

var commands []command

func init() {
	commands = []command{
		{"inspect", "[--json]", "list the nodes of the graph, the inputs and the outputs", inspect, inspectHelp},
		{"predict", "[FILE|-] [--feed LABEL=FILE]... [--fetch LABEL]... [-o FILE]", "compute outputs for a file of inputs", predict, predictHelp},
		{"serve", "[--addr HOST] [--port N]", "answer over HTTP, as TensorFlow Serving does", serve, serveHelp},
		{"selftest", "[--per-node]", "check this machine's results against examples made at build time", selftest, selftestHelp},
		{"bench", "[--batch N,N...]", "measure the time of a prediction", bench, benchHelp},
		{"version", "", "tell what this binary was made from and with", version, ""},
		{"help", "[COMMAND]", "explain a command", help, ""},
	}
}

// A usageError is a mistake on the command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// Main runs a command line, without the program's name, and returns the exit code: 0, 1 for an
// error, 2 for a mistake on the command line.
func Main(env *Environment, args []string) int {
	err := dispatch(env, args)
	if err == nil {
		return 0
	}
	var usage *usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(env.Stderr, "predictor: %v (see `help`)\n", oneLine(err))
		return 2
	}
	fmt.Fprintf(env.Stderr, "predictor: %v\n", oneLine(err))
	return 1
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", " ") }

func dispatch(env *Environment, args []string) error {
	if len(args) == 0 {
		return usagef("no command: use one of %s", commandNames())
	}
	switch args[0] {
	case "-h", "-help", "--help":
		args = append([]string{"help"}, args[1:]...)
	case "--version":
		args = []string{"version"}
	}
	for i := range commands {
		c := &commands[i]
		if c.name != args[0] {
			continue
		}
		for _, a := range args[1:] {
			if a == "-h" || a == "-help" || a == "--help" {
				return explain(env, c)
			}
		}
		return c.run(env, newArguments(c.name, args[1:]))
	}
	return usagef("no command %q: use one of %s", args[0], commandNames())
}

func commandNames() string {
	names := make([]string, len(commands))
	for i, c := range commands {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

func help(env *Environment, args *arguments) error {
	if err := args.parse(0, 1); err != nil {
		return err
	}
	if len(args.positional) == 1 {
		for i := range commands {
			if commands[i].name == args.positional[0] {
				return explain(env, &commands[i])
			}
		}
		return usagef("no command %q: use one of %s", args.positional[0], commandNames())
	}
	text := fmt.Sprintf("The model %s, compiled by castiron.\n\n", env.Model.Name)
	for _, c := range commands {
		text += fmt.Sprintf("  %-9s %s\n", c.name, c.summary)
	}
	text += "\n`help COMMAND` tells more.\n"
	_, err := io.WriteString(env.Stdout, text)
	return err
}

func explain(env *Environment, c *command) error {
	_, err := fmt.Fprintf(env.Stdout, "predictor %s %s\n\n%s%s.\n%s", c.name, c.usage, strings.ToUpper(c.summary[:1]), c.summary[1:], c.help)
	return err
}
