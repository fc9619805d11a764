package messages

// Table is a set of methods in order and by name. It is shared and must not be
// changed.
type Table struct {
	list   []*Method
	byName map[string]*Method
}

// methods is the table of callers. Its order is the order of docs/api.md.
var methods = register(treasuryMethods, graphMethods, energyMethods, clusterMethods, operationMethods, auditMethods, backupMethods, authorityMethods)

func register(parts ...[]*Method) *Table {
	t := &Table{byName: make(map[string]*Method)}
	for _, part := range parts {
		for _, m := range part {
			m.index = len(t.list)
			t.list = append(t.list, m)
			t.byName[m.Name] = m
		}
	}
	return t
}

// PublicTable holds the methods of callers: those of docs/api.md and rpc.discover.
func PublicTable() *Table { return methods }

// Methods lists the table's methods; each one's Index is its place.
func (t *Table) Methods() []*Method { return t.list }

// ByName finds a method, or nil.
func (t *Table) ByName(name string) *Method { return t.byName[name] }

// ByBytes is ByName for a name that lies in a message.
func (t *Table) ByBytes(name []byte) *Method { return t.byName[string(name)] }

// Nearest finds the method whose name is most like the given one.
func (t *Table) Nearest(name string) (near string, ok bool) {
	var known []string
	for _, m := range t.list {
		known = append(known, m.Name)
	}
	return Nearest(name, known)
}

// Methods lists every method of PublicTable in the order of the documents.
func Methods() []*Method { return methods.list }

// MethodByName finds a method of PublicTable, or nil.
func MethodByName[S string | []byte](name S) *Method { return methods.byName[string(name)] }
