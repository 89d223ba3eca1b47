package cli

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"castiron.model/internal/codec"
	"castiron.model/internal/engine"
)

const inspectHelp = `
A label can be given to predict's --feed and --fetch. Free dimensions have names.

  --json  write JSON
`

func inspect(env *Environment, args *arguments) error {
	asJSON := args.Bool("json", false, "")
	if err := args.parse(0, 0); err != nil {
		return err
	}
	m := env.Model
	if *asJSON {
		_, err := env.Stdout.Write(inspectJSON(m))
		return err
	}
	rows := [][]string{{"LABEL", "OPERATOR", "DTYPE", "SHAPE", ""}}
	for i := range m.Labels {
		l := &m.Labels[i]
		if l.Shape == nil && l.Buffer < 0 && l.Role == "" {
			rows = append(rows, []string{l.Name, l.Op, "", "", ""})
			continue
		}
		rows = append(rows, []string{l.Name, l.Op, typeText(l.DType, l.Words), shapeText(l.Shape), l.Role})
	}
	text := table(rows)
	rows = [][]string{{"SIGNATURE", "NAME", "DTYPE", "SHAPE", "LABEL"}}
	for _, group := range signature(m) {
		for _, s := range group.specs {
			rows = append(rows, []string{group.role, s.Name, typeText(s.DType, s.Words), shapeText(s.ShapeText()), s.Label})
		}
	}
	_, err := env.Stdout.Write([]byte(text + "\n" + table(rows)))
	return err
}

type role struct {
	role  string
	specs []engine.Spec
}

// signature lists the model's inputs and outputs, and the names by which its states, if it has any, can
// be fed and what became of them fetched.
func signature(m *engine.Model) []role {
	roles := []role{{"input", m.Fast.Specs(m.Inputs())}, {"output", m.Fast.Specs(m.Outputs())}}
	if len(m.States) > 0 {
		roles = append(roles, role{"state", m.Fast.Specs(m.StateInputs())}, role{"next state", m.Fast.Specs(m.StateOutputs())})
	}
	return roles
}

// typeText names a type, of strings with how many words there are for them.
func typeText(dtype engine.DType, words *engine.Vocabulary) string {
	if words == nil {
		return dtype.String()
	}
	return fmt.Sprintf("%s (%d words)", engine.String, len(words.Words))
}

func shapeText(dims []string) string { return "[" + strings.Join(dims, ",") + "]" }

// table aligns columns.
func table(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var text strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		text.WriteString(strings.TrimRight(line.String(), " "))
		text.WriteByte('\n')
	}
	return text.String()
}

func inspectJSON(m *engine.Model) []byte {
	b := []byte("{\n")
	for _, pair := range facts(m) {
		b = append(codec.AppendString(append(b, "  "...), pair[0]), ": "...)
		b = append(codec.AppendString(b, pair[1]), ",\n"...)
	}
	b = append(b, "  \"labels\": [\n"...)
	for i := range m.Labels {
		l := &m.Labels[i]
		b = appendNode(b, [][2]string{{"label", l.Name}, {"op", l.Op}, {"dtype", typeName(l.DType, l.Words)}}, l.Shape)
		b = appendWords(b, l.Words)
		b = codec.AppendString(append(b, ", \"role\": "...), l.Role)
		b = append(b, "},\n"...)
	}
	if len(m.Labels) > 0 {
		b = append(b[:len(b)-2], '\n')
	}
	b = append(b, "  ]"...)
	for _, group := range signature(m) {
		b = fmt.Appendf(b, ",\n  \"%ss\": [\n", strings.ReplaceAll(group.role, " ", "_"))
		for i := range group.specs {
			s := &group.specs[i]
			b = appendNode(b, [][2]string{{"name", s.Name}, {"label", s.Label}, {"dtype", typeName(s.DType, s.Words)}}, s.ShapeText())
			b = appendWords(b, s.Words)
			b = appendTexts(b, "columns", s.Columns)
			b = append(b, "},\n"...)
		}
		if len(group.specs) > 0 {
			b = append(b[:len(b)-2], '\n')
		}
		b = append(b, "  ]"...)
	}
	return append(b, "\n}\n"...)
}

// typeName names a type.
func typeName(dtype engine.DType, words *engine.Vocabulary) string {
	if words != nil {
		return engine.String.String()
	}
	return dtype.String()
}

func appendWords(b []byte, words *engine.Vocabulary) []byte {
	if words == nil {
		return b
	}
	return appendTexts(b, "words", words.Words)
}

// appendTexts writes a member that is an array of texts, unless there are none.
func appendTexts(b []byte, key string, texts []string) []byte {
	if len(texts) == 0 {
		return b
	}
	b = append(codec.AppendString(append(b, ", "...), key), ": ["...)
	for i, text := range texts {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = codec.AppendString(b, text)
	}
	return append(b, ']')
}

// appendNode writes an object without its end: texts, and a shape of numbers where dimensions are
// fixed and of names where they are free.
func appendNode(b []byte, texts [][2]string, shape []string) []byte {
	b = append(b, "    {"...)
	for _, pair := range texts {
		b = append(codec.AppendString(b, pair[0]), ": "...)
		b = append(codec.AppendString(b, pair[1]), ", "...)
	}
	b = append(b, "\"shape\": ["...)
	for i, d := range shape {
		if i > 0 {
			b = append(b, ", "...)
		}
		if strings.Trim(d, "0123456789") == "" && d != "" {
			b = append(b, d...)
		} else {
			b = codec.AppendString(b, d)
		}
	}
	return append(b, ']')
}
