package authority

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Operator is one of those whose keys are known.
type Operator struct {
	messages.OperatorInfo
	// Index is the entry of the log by which it was added, Version that of its row.
	Index   uint64
	Version uint64
	Revoked bool
}

// Roles adds up what it may do.
func (o *Operator) RoleSet() messages.Role { return messages.RolesOf(o.OperatorInfo.Roles) }

// active reports whether its key is good.
func (o *Operator) active(now uint64) bool { return !o.Revoked && now < o.NotAfter }

// weight is its weight in a house.
func (o *Operator) weight(house messages.House) messages.PPM {
	for _, v := range o.Votes {
		if v.House == house {
			return v.WeightPPM
		}
	}
	return 0
}

// State is everything that decides who may do what, at one index.
type State struct {
	// Version is that of the row which every change writes; 0 before the first.
	Version    uint64
	Operators  map[string]*Operator
	Policies   map[string]messages.Policy
	Pauses     map[string]messages.PauseInfo
	Signatures string
	// Electorate is the entry of the log that registered the first votes; 0 before.
	Electorate uint64
}

var errRow = errors.New("a row of the authority cannot be read")

// indexBytes is the place of the log's index at the front of a row.
const indexBytes = 8

// indexSlot has it filled in.
var indexSlot = []persistence.Slot{{Number: persistence.SlotIndex}}

// encode gives a row: the place of the log's index, and a message as the wire has it.
func encode(index uint64, m messages.Result) []byte {
	b, err := messages.AppendResult(binary.BigEndian.AppendUint64(nil, index), m)
	if err != nil {
		panic(err) // m is no message
	}
	return b
}

func decode(b []byte, m messages.Result) (index uint64, err error) {
	if len(b) < indexBytes {
		return 0, fmt.Errorf("%w: %d bytes", errRow, len(b))
	}
	if err := messages.DecodeResult(b[indexBytes:], m); err != nil {
		return 0, fmt.Errorf("%w: %w", errRow, err)
	}
	return binary.BigEndian.Uint64(b), nil
}

// read reads the whole state at the index of a View.
func read(v *persistence.View) (*State, error) {
	s := &State{
		Operators: make(map[string]*Operator), Policies: make(map[string]messages.Policy),
		Pauses: make(map[string]messages.PauseInfo), Signatures: "off",
	}
	var broken error
	err := v.Scan(persistence.NameKey(TableOperators, ""), persistence.TableEnd(TableOperators), false, operatorsMax,
		func(_ persistence.Key, value persistence.Value) bool {
			o := &Operator{Version: value.Version, Revoked: value.Tag == tagRevoked}
			if o.Index, broken = decode(value.Data, &o.OperatorInfo); broken == nil {
				s.Operators[o.Name] = o
			}
			return broken == nil
		})
	if err = errors.Join(err, broken); err != nil {
		return nil, err
	}
	err = v.Scan(persistence.NameKey(TableRules, ""), persistence.TableEnd(TableRules), false, persistence.ViewRowsMax/4,
		func(key persistence.Key, value persistence.Value) bool {
			broken = s.rule(key.Name(), value)
			return broken == nil
		})
	return s, errors.Join(err, broken)
}

// rule takes in one single row.
func (s *State) rule(name string, value persistence.Value) (err error) {
	switch {
	case name == ruleChange:
		if len(value.Data) != indexBytes {
			return fmt.Errorf("%w: %d bytes", errRow, len(value.Data))
		}
		s.Version, s.Electorate = value.Version, binary.BigEndian.Uint64(value.Data)
	case name == ruleSignatures:
		var settings messages.SettingsResult
		_, err = decode(value.Data, &settings)
		s.Signatures = settings.Signatures
	case strings.HasPrefix(name, rulePolicy):
		var p messages.Policy
		_, err = decode(value.Data, &p)
		s.Policies[p.Action] = p
	case strings.HasPrefix(name, rulePause):
		var p messages.PauseInfo
		_, err = decode(value.Data, &p)
		s.Pauses[p.Scope] = p
	}
	return err
}

// Names lists the operators by name.
func (s *State) Names() []string { return slices.Sorted(maps.Keys(s.Operators)) }

// holders counts the active operators who hold a role.
func (s *State) holders(role messages.Role, now uint64) (n uint64) {
	for _, o := range s.Operators {
		if o.active(now) && o.RoleSet().Has(role) {
			n++
		}
	}
	return n
}

// registered adds up the votes of a house that are not revoked.
func (s *State) registered(house messages.House) (sum messages.PPM) {
	for _, o := range s.Operators {
		if !o.Revoked {
			sum += o.weight(house)
		}
	}
	return sum
}

// DescribeCall completes a row of the audit by the row of TableCalls that it stands for.
func DescribeCall(data []byte, into *messages.AuditRow) error {
	id, index := into.ID, into.Index
	_, err := decode(data, into)
	into.ID, into.Index = id, index
	return err
}
