package disbursement

// ParseDependencies gives the ids that a memo depends on, ascending, each once; nil when
// there are none. It allocates nothing but its result.
func ParseDependencies(memo string) []uint64 {
	var list memoList
	list.scan(memo)
	return list.set()
}
