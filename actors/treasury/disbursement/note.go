package disbursement

import (
	"encoding/json"
	"strings"
)

// Note is what people wrote in a memo for people: of a JSON object the key note, of a plain
// list of dependencies nothing.
func Note(memo string) string {
	var fields struct {
		Note string `json:"note"`
	}
	switch trimmed := strings.TrimSpace(memo); {
	case strings.HasPrefix(trimmed, "{"):
		if json.Unmarshal([]byte(trimmed), &fields) != nil {
			return memo
		}
		return fields.Note
	case strings.HasPrefix(trimmed, dependsOn+"="), strings.HasPrefix(trimmed, dependsOn+":"):
		return ""
	default:
		return memo
	}
}
