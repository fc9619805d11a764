package persistence

// Parts takes a condition apart for the twin.
func (c Condition) Parts() (kind string, key Key, n int64, tags string) {
	kinds := map[conditionKind]string{
		conditionExists: "exists", conditionAbsent: "absent", conditionVersionIs: "version",
		conditionTagIn: "in", conditionTagNotIn: "not in",
		conditionCounterBelow: "below", conditionCounterAtLeast: "at least",
	}
	return kinds[c.kind], c.key, int64(c.n), c.tags
}

// RememberAtMost lowers RequestsRecentMax.
func (f *FSM) RememberAtMost(n uint64) { f.requestsRecentMax = n }

// AwaitCompactions waits for compactions under way and counts those done.
func (s *Store) AwaitCompactions() uint64 {
	s.compactions.Wait()
	return s.stats.Compactions.Load()
}
