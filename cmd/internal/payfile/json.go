package payfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// rowBytesMax is the longest line of a file: more than any payload the wire takes.
const rowBytesMax = 2 << 20

// jsonLine is one line that is not blank.
type jsonLine struct {
	line int
	text []byte
}

func jsonLines(text []byte, faults *Faults) (lines []jsonLine) {
	for n := 1; len(text) > 0; n++ {
		row, after, _ := bytes.Cut(text, []byte{'\n'})
		text = after
		switch {
		case len(row) > rowBytesMax:
			faults.add("line %d has %d bytes, at most %d are allowed", n, len(row), rowBytesMax)
		case len(bytes.TrimSpace(row)) > 0:
			lines = append(lines, jsonLine{n, row})
		}
	}
	if len(lines) == 0 && faults.Count == 0 {
		faults.add("the file is empty")
	}
	return lines
}

// object is a JSON object with its names as they are written, none twice.
type object map[string]json.RawMessage

// readObject reads one JSON object and nothing behind it. What encoding/json would mend in
// silence is refused: a name that is there twice, half of a surrogate pair.
func readObject(text []byte) (object, error) {
	if half := loneSurrogate(text); half != "" {
		return nil, fmt.Errorf("%s is half of a character", half)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if token, err := decoder.Token(); err != nil {
		return nil, jsonError(err)
	} else if token != json.Delim('{') {
		return nil, errors.New("it is no JSON object")
	}
	o := make(object)
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, jsonError(err)
		}
		name, _ := token.(string)
		if _, twice := o[name]; twice {
			return nil, fmt.Errorf("%s: is there twice; leave one out", name)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, jsonError(err)
		}
		o[name] = value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, jsonError(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	return o, nil
}

func jsonError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON ends in the middle")
	}
	return fmt.Errorf("no valid JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// loneSurrogate finds a \uXXXX that is half of a pair, "" if there is none.
func loneSurrogate(text []byte) string {
	for i := 0; i+1 < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		i++
		first, ok := escaped(text[i:])
		if !ok || !utf16.IsSurrogate(first) {
			continue
		}
		if i+6 < len(text) && text[i+5] == '\\' {
			if second, ok := escaped(text[i+6:]); ok && utf16.DecodeRune(first, second) != '\uFFFD' {
				i += 10
				continue
			}
		}
		return `\` + string(text[i:i+5])
	}
	return ""
}

// escaped reads uXXXX.
func escaped(text []byte) (rune, bool) {
	if len(text) < 5 || text[0] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[1:5]), 16, 16)
	return rune(n), err == nil
}

// take removes a text from o, "" if it is not there or null.
func (o object) take(name string) (string, error) {
	raw, ok := o[name]
	delete(o, name)
	if !ok || string(raw) == "null" {
		return "", nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", fmt.Errorf("%s: %s is no text", name, raw)
	}
	return text, nil
}

// takeRequestID removes a row's own request id, "" if it has none. An empty one is a slip: as
// none it would be paid under another id than its writer thinks.
func (o object) takeRequestID() (string, error) {
	raw := o["request_id"]
	id, err := o.take("request_id")
	if err == nil && id == "" && len(raw) > 0 && string(raw) != "null" {
		err = errors.New("request_id: empty; leave it out, or choose an id that no other row has")
	}
	return id, err
}

// readPayload reads a payload as a node does from a submission: by the same names,
// defaults and refusals. In a file, one without an epoch is due at once.
func readPayload(o object) (messages.Payload, error) {
	if raw, ok := o["disbursement"]; ok && raw[0] == '{' {
		d, err := readObject(raw)
		if err != nil {
			return messages.Payload{}, fmt.Errorf("disbursement: %w", err)
		}
		if _, given := d["scheduled_epoch"]; !given {
			d["scheduled_epoch"] = json.RawMessage("1")
		}
		if o["disbursement"], err = json.Marshal(d); err != nil {
			return messages.Payload{}, err
		}
	}
	text, err := json.Marshal(map[string]object{"payload": o})
	if err != nil {
		return messages.Payload{}, err
	}
	packed, err := wire.PackJSON(text)
	if err != nil {
		return messages.Payload{}, plain(err)
	}
	params, refusal := messages.MethodByName(messages.MethodSubmitDisbursement).Decode(packed, messages.JSON)
	if refusal != nil {
		return messages.Payload{}, plain(refusal)
	}
	payload := params.(*messages.SubmitDisbursementParams).Payload
	normalize(&payload)
	return payload, nil
}

// plain is an error's text without the code that a node would send with it.
func plain(err error) error {
	var refusal *messages.Error
	if errors.As(err, &refusal) {
		return errors.New(strings.TrimPrefix(refusal.Message, "params."))
	}
	return err
}

// normalize makes line ends within texts LF, however a file wrote them: a CSV reader does,
// and equal payments shall be equal.
func normalize(p *messages.Payload) {
	texts := []*string{&p.Disbursement.Memo}
	if p.Proposal != nil {
		texts = append(texts, &p.Proposal.Title, &p.Proposal.Summary)
	}
	for _, text := range texts {
		*text = strings.ReplaceAll(*text, "\r\n", "\n")
	}
}
