package cli

import (
	"errors"
	"flag"
	"io"
	"strings"
)

// arguments are what follows a command: flags, which may stand before and after positional ones.
type arguments struct {
	*flag.FlagSet
	args       []string
	positional []string
}

func newArguments(command string, args []string) *arguments {
	a := &arguments{FlagSet: flag.NewFlagSet(command, flag.ContinueOnError), args: args}
	a.SetOutput(io.Discard)
	return a
}

// parse reads the flags that were defined, and checks the number of positional arguments.
func (a *arguments) parse(least, most int) error {
	rest := a.args
	for {
		if err := a.FlagSet.Parse(rest); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return usagef("%s: no such flag", a.Name())
			}
			return usagef("%s: %v", a.Name(), err)
		}
		literal := a.NArg() < len(rest) && rest[len(rest)-a.NArg()-1] == "--"
		rest = a.Args()
		if literal {
			a.positional = append(a.positional, rest...)
			break
		}
		if len(rest) == 0 {
			break
		}
		a.positional = append(a.positional, rest[0])
		rest = rest[1:]
	}
	if n := len(a.positional); n > most {
		return usagef("%s: unexpected argument %q", a.Name(), a.positional[most])
	} else if n < least {
		return usagef("%s: an argument is missing", a.Name())
	}
	return nil
}

// A list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}
