package messages

// Record names what a change is about, among everything that changes.
type Record struct {
	kind string
	id   uint64
	name string
}

// recorded are the parameters of changes that are about one record.
type recorded interface{ record() Record }

// Record is what a call is about, if it changes something that is there. Changes of one
// record that one connection makes are decided in the order in which they came.
func (m *Method) Record(p Params) (r Record, ok bool) {
	if !m.records {
		return Record{}, false
	}
	return p.(recorded).record(), true
}

func (p *IDParams) record() Record         { return disbursementRecord(p.ID) }
func (p *VoteParams) record() Record       { return disbursementRecord(p.ID) }
func (p *RollbackParams) record() Record   { return disbursementRecord(p.ID) }
func (p *SkipIntentParams) record() Record { return disbursementRecord(p.ID) }
func (p *PathParams) record() Record       { return Record{kind: "actor", name: p.Path} }
func (p *DrainParams) record() Record      { return Record{kind: "node", name: p.Node} }

func disbursementRecord(id DisbursementID) Record {
	return Record{kind: "disbursement", id: uint64(id)}
}
