package graph

// IDSet lets the tests reach the set that readiness rests on.
type IDSet struct{ set idset }

func (s *IDSet) Add(i uint32) bool            { return s.set.add(i) }
func (s *IDSet) Remove(i uint32) bool         { return s.set.remove(i) }
func (s *IDSet) Has(i uint32) bool            { return s.set.has(i) }
func (s *IDSet) Next(i uint32) (uint32, bool) { return s.set.next(i) }
func (s *IDSet) Len() int                     { return s.set.count }
