package payfile

import (
	"regexp"
	"strings"

	"github.com/the-block/bursar/messages"
)

// A list of dependencies is told by its first words alone, as docs/explanation/dependencies.md
// describes; whatever else is free text, and such a payment waits for nothing. These find
// what people write when they mean a list, plainly or in JSON: a name, a sign and a digit.
var (
	signAndDigit = `["']?\s*[=:]+[\s\["'(#]*\d`
	lookalikes   = []*regexp.Regexp{
		regexp.MustCompile(`(?i)(?:^|\PL)((?:depend[a-z]*(?:[\s_.-]*(?:up)?on)?|deps)` + signAndDigit + `)`),
		regexp.MustCompile(`(?i)(?:^|\PL)(depend(?:s|ed|ent|ing|ency|encies)?[\s_.-]*(?:up)?on["']?[\s\["'(#]+\d)`),
	}
	named = regexp.MustCompile(`(?i)(?:^|\PL)(([a-z]+[a-z_.-]*)` + signAndDigit + `)`)
)

// misspelt finds words in a memo that look like a list of dependencies, "" if there are none.
func misspelt(memo string) string {
	for _, like := range lookalikes {
		if found := like.FindStringSubmatch(memo); found != nil {
			return found[1]
		}
	}
	for _, found := range named.FindAllStringSubmatch(memo, -1) {
		name := strings.NewReplacer("_", "", ".", "", "-", "").Replace(found[2])
		if _, ok := messages.Nearest(name, []string{"dependson"}); ok {
			return found[1]
		}
	}
	return ""
}

// Misspelt finds words in the memo of a payment with these dependencies that look as if it
// should wait for something, where its memo names nothing: "" if there are none.
func Misspelt(p *messages.Payload, deps []messages.DisbursementID) string {
	if len(deps) > 0 {
		return ""
	}
	return misspelt(p.Disbursement.Memo)
}
