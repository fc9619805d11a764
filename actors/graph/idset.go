package graph

import "math/bits"

// idset is an ordered set of small numbers: a bitmap with a bit for each of its
// words above it, and so on up to a single word. Adding, removing and finding the
// next member take one step a level: four for sixteen million numbers.
type idset struct {
	levels [][]uint64
	count  int
}

// add puts i in the set and reports whether it was not there.
func (s *idset) add(i uint32) bool {
	s.grow(i)
	for k := range s.levels {
		word := &s.levels[k][i>>6]
		before := *word
		*word |= 1 << (i & 63)
		if k == 0 && *word == before {
			return false
		}
		if before != 0 {
			break
		}
		i >>= 6
	}
	s.count++
	return true
}

// remove takes i out of the set and reports whether it was there.
func (s *idset) remove(i uint32) bool {
	if !s.has(i) {
		return false
	}
	for k := range s.levels {
		word := &s.levels[k][i>>6]
		*word &^= 1 << (i & 63)
		if *word != 0 {
			break
		}
		i >>= 6
	}
	s.count--
	return true
}

// has reports whether i is in the set.
func (s *idset) has(i uint32) bool {
	return len(s.levels) > 0 && int(i>>6) < len(s.levels[0]) && s.levels[0][i>>6]>>(i&63)&1 == 1
}

// next finds the smallest member that is at least i.
func (s *idset) next(i uint32) (uint32, bool) {
	for k := 0; k < len(s.levels) && int(i>>6) < len(s.levels[k]); k++ {
		if rest := s.levels[k][i>>6] >> (i & 63); rest != 0 {
			i += uint32(bits.TrailingZeros64(rest))
			for ; k > 0; k-- {
				i = i<<6 | uint32(bits.TrailingZeros64(s.levels[k-1][i]))
			}
			return i, true
		}
		i = i>>6 + 1
	}
	return 0, false
}

// grow makes room for i and keeps the top level a single word.
func (s *idset) grow(i uint32) {
	if len(s.levels) > 0 && int(i>>6) < len(s.levels[0]) {
		return
	}
	for k := 0; ; k++ {
		words := int(i>>6) + 1
		if k == len(s.levels) {
			s.levels = append(s.levels, nil)
			s.levels[k] = make([]uint64, 1, words)
			if k > 0 && s.levels[k-1][0] != 0 {
				s.levels[k][0] = 1
			}
		}
		if missing := words - len(s.levels[k]); missing > 0 {
			s.levels[k] = append(s.levels[k], make([]uint64, missing)...)
		}
		if len(s.levels[k]) == 1 {
			return
		}
		i >>= 6
	}
}
