package readmodel

import (
	"github.com/the-block/bursar/persistence"
)

// Reader answers what only reads.
type Reader struct {
	model *Model
	store *persistence.Store
}

// NewReader answers from a model and the Store that it follows.
func NewReader(model *Model, store *persistence.Store) Reader { return Reader{model, store} }
