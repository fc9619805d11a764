package graph

import (
	"slices"

	"github.com/the-block/bursar/messages"
)

// WaveList is one page of an answer in waves. Its pages count ids, so a page may
// begin and end inside a wave.
type WaveList struct {
	// First is the number of the page's first wave, counted from 0.
	First int
	// Waves hold ids in ascending order; none is empty.
	Waves [][]messages.DisbursementID
	// Total is the number of ids in the whole answer, Count that of waves.
	Total, Count int
}

// Waves sorts all nodes, whatever their state, into waves: the first holds those
// without dependencies, each further one those whose last dependency is in the
// wave before. The members of a wave do not depend on one another.
func (v View) Waves(page Page) WaveList { return v.waves(v.whole(), page) }

// WavesOf is Waves among the given ids: one is in a later wave than another on
// which it depends, even if only through ids that are not given. Repeated ids
// count once. Error: ErrUnknown.
func (v View) WavesOf(given []messages.DisbursementID, page Page) (WaveList, error) {
	in, err := v.scope(given)
	if err != nil {
		return WaveList{}, err
	}
	return v.waves(in, page), nil
}

func (v View) waves(in scope, page Page) WaveList {
	level := v.levels(in)
	// ends[l] becomes the place after the last id of wave l in the whole answer.
	var ends []int
	for i, l := range level {
		if !in.has(in.first + ordinal(i)) {
			continue
		}
		if missing := int(l) + 1 - len(ends); missing > 0 {
			ends = append(ends, make([]int, missing)...)
		}
		ends[l]++
	}
	total := 0
	for l, size := range ends {
		total += size
		ends[l] = total
	}
	from, to := page.bounds(total)
	list := WaveList{Total: total, Count: len(ends)}
	members := make([]messages.DisbursementID, to-from)
	place := slices.Clone(ends)
	for i := len(level) - 1; i >= 0; i-- {
		n := in.first + ordinal(i)
		if !in.has(n) {
			continue
		}
		place[level[i]]--
		if at := place[level[i]]; at >= from && at < to {
			members[at-from] = messages.DisbursementID(n)
		}
	}
	list.First, list.Waves = cut(ends, members, from)
	return list
}

// cut divides members, which stand in the answer from place from on, into waves
// that end at ends. It also gives the number of the first.
func cut(ends []int, members []messages.DisbursementID, from int) (int, [][]messages.DisbursementID) {
	if len(members) == 0 {
		return 0, nil
	}
	first, _ := slices.BinarySearch(ends, from+1)
	var waves [][]messages.DisbursementID
	for l := first; len(members) > 0; l++ {
		size := min(ends[l]-from, len(members))
		waves = append(waves, members[:size:size])
		members, from = members[size:], from+size
	}
	return first, waves
}

// levels gives, for each node of the scope's range, the number of the wave it is
// in, or would be in if it were chosen.
func (v View) levels(in scope) []uint32 {
	level := make([]uint32, in.last-in.first+1)
	for n := range v.inOrder(in.first, in.last) {
		var own uint32
		first, last := v.tables.span(n)
		for e := first; e < last; e++ {
			dep := v.tables.links.at(e).to
			if dep < in.first {
				continue
			}
			below := level[dep-in.first]
			if in.has(dep) {
				below++
			}
			own = max(own, below)
		}
		level[n-in.first] = own
	}
	return level
}
