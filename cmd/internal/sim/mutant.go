package sim

import "github.com/the-block/bursar/persistence"

// Mutant is a treasury with one of its defences taken out, to see that the simulation
// finds it.
type Mutant byte

// The mutants.
const (
	// Sound leaves everything in.
	Sound Mutant = iota
	// NoSync says that a write is on the disk when it is not.
	NoSync
	// NoFencing lets a former owner write.
	NoFencing
	// NoMemory forgets request ids.
	NoMemory
	// NoConditions carries changes out whatever has happened since they were decided.
	NoConditions
)

var mutantNames = [...]string{
	Sound: "sound", NoSync: "no fsync", NoFencing: "no fencing", NoMemory: "no request-id memory",
	NoConditions: "no conditions",
}

// String names the mutant by what it lacks.
func (m Mutant) String() string { return mutantNames[m] }

// Mutants lists all but Sound.
func Mutants() []Mutant { return []Mutant{NoSync, NoFencing, NoMemory, NoConditions} }

// mutate leaves out what the mutant lacks. A state machine that does not look at a
// part of a Txn is one that is given a Txn without it.
func (m Mutant) mutate(t *persistence.Txn) *persistence.Txn {
	mutated := *t
	switch m {
	case NoFencing:
		mutated.Fences = nil
	case NoMemory:
		mutated.RequestID, mutated.Reply = "", nil
	case NoConditions:
		mutated.Conditions = nil
	case Sound, NoSync:
		return t
	}
	return &mutated
}
