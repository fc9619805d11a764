package node

// Found is what a node found when it compared its state with another's.
type Found struct {
	Leads, Known bool
	Differs      uint64
}

// Differing says whether a node that found this has to stop, while it awaits those that
// cannot be compared yet or not any more.
func Differing(found []Found, await bool) (which string, stop bool) {
	var list []comparison
	for _, f := range found {
		list = append(list, comparison{node: "n", leads: f.Leads, known: f.Known, differs: f.Differs})
	}
	return differing(list, await)
}
