package terminal

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Table is rows of cells, the first row their names.
type Table [][]string

// Print writes the columns one below the other: numbers to the right, words to the
// left. The last column may be as long as it likes. What cannot be seen is escaped.
func (t Table) Print(w io.Writer) {
	shown := make(Table, len(t))
	for i, row := range t {
		for _, cell := range row {
			shown[i] = append(shown[i], Visible(cell))
		}
	}
	t = shown
	widths := make([]int, len(t[0]))
	numbers := make([]bool, len(t[0]))
	for column := range t[0] {
		numbers[column] = len(t) > 1
		for i, row := range t {
			widths[column] = max(widths[column], utf8.RuneCountInString(row[column]))
			if i > 0 && !isNumber(row[column]) {
				numbers[column] = false
			}
		}
	}
	for _, row := range t {
		var line strings.Builder
		for column, cell := range row {
			gap := strings.Repeat(" ", widths[column]-utf8.RuneCountInString(cell))
			if numbers[column] {
				line.WriteString("  " + gap + cell)
			} else {
				line.WriteString("  " + cell + gap)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

func isNumber(cell string) bool {
	return cell != "" && strings.Trim(cell, "0123456789,./s-") == ""
}
