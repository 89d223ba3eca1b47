package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
)

// An output is a file that appears under its name when it is complete, or the standard output.
type output struct {
	io.Writer
	path    string
	file    *os.File // nil for the standard output
	partial string   // the name until then; "" if the file is written in place, as a device is
	once    sync.Once
	signals chan os.Signal
}

// create begins a file; path is "" or "-" for the standard output.
func create(path string, stdout io.Writer) (*output, error) {
	if path == "" || path == "-" {
		return &output{Writer: stdout}, nil
	}
	o := &output{path: path, signals: make(chan os.Signal, 1)}
	name, flags := path, os.O_WRONLY
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s: is a folder", path)
	} else if err != nil || info.Mode().IsRegular() {
		o.partial = filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d.partial", filepath.Base(path), os.Getpid()))
		name, flags = o.partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL
	}
	file, err := os.OpenFile(name, flags, 0o666)
	if err != nil {
		return nil, plain(path, err)
	}
	o.file, o.Writer = file, file
	signal.Notify(o.signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		if _, ok := <-o.signals; ok {
			o.abandon()
			os.Exit(130)
		}
	}()
	return o, nil
}

// abandon removes what was written.
func (o *output) abandon() {
	o.once.Do(func() {
		o.file.Close()
		if o.partial != "" {
			os.Remove(o.partial)
		}
	})
}

// finish gives the file its name, unless err says that it is not complete.
func (o *output) finish(err error) error {
	if o.file == nil {
		return writeError("standard output", err)
	}
	signal.Stop(o.signals)
	close(o.signals)
	if err != nil {
		o.abandon()
		return writeError(o.path, err)
	}
	o.once.Do(func() {
		if err = o.file.Close(); err == nil && o.partial != "" {
			err = os.Rename(o.partial, o.path)
		}
		if err != nil && o.partial != "" {
			os.Remove(o.partial)
		}
	})
	return writeError(o.path, err)
}

// writeError names the output in the errors of its file, and leaves other errors as they are.
func writeError(path string, err error) error {
	var at *os.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &at) && at.Op == "write":
		return fmt.Errorf("%s: %w", path, at.Err)
	case errors.As(err, &link):
		return fmt.Errorf("%s: %w", path, link.Err)
	}
	return err
}
