package persistence

import (
	"hash/maphash"
	"strings"
)

// requestIndex finds the row that remembers a request id. It holds no ids: 16 B an
// entry instead of a string, and nothing for the collector to walk. Whoever asks
// compares the id in the row found, so which hash is used decides nothing.
type requestIndex struct {
	seed   maphash.Seed
	places map[uint64]uint64 // hash of the id -> place
	// clashes holds the ids whose hash was taken.
	clashes map[string]uint64
}

// requestPlace packs a row's table and number: numbers stay below 2^56, which one
// commit a nanosecond would reach in two years.
func requestPlace(t Table, number uint64) uint64 { return uint64(t)<<56 | number }

func placeKey(place uint64) Key { return RecordKey(Table(place>>56), place&(1<<56-1)) }

func newRequestIndex() requestIndex {
	return requestIndex{
		seed:    maphash.MakeSeed(),
		places:  make(map[uint64]uint64),
		clashes: make(map[string]uint64),
	}
}

// find gives the row that may remember id. If its id is another, id is not remembered.
func (x *requestIndex) find(id string) (place uint64, ok bool) {
	if len(x.clashes) > 0 {
		if place, ok = x.clashes[id]; ok {
			return place, true
		}
	}
	place, ok = x.places[maphash.String(x.seed, id)]
	return place, ok
}

// add notes where id is remembered. It must not be known yet.
func (x *requestIndex) add(id string, place uint64) {
	h := maphash.String(x.seed, id)
	if _, taken := x.places[h]; taken {
		x.clashes[strings.Clone(id)] = place
		return
	}
	x.places[h] = place
}

// remove forgets id, which was noted at place.
func (x *requestIndex) remove(id string, place uint64) {
	if x.clashes[id] == place {
		delete(x.clashes, id)
		return
	}
	if h := maphash.String(x.seed, id); x.places[h] == place {
		delete(x.places, h)
	}
}
