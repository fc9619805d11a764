package graph

const (
	marksBits  = 9
	marksSlots = 1 << marksBits
)

// marks remembers which nodes were seen. The first few go to a hash table that
// lives on the stack, so that a small answer from a large graph stays cheap; then
// it becomes a bitmap with a bit for each node up to last.
type marks struct {
	last   ordinal
	slots  [marksSlots]ordinal
	used   int
	bitmap bitmap
}

// add marks n and reports whether it was not marked before.
func (m *marks) add(n ordinal) bool {
	if m.bitmap != nil {
		return m.bitmap.set(n)
	}
	for i := uint32(n) * 0x9E3779B1 >> (32 - marksBits); ; i = (i + 1) % marksSlots {
		switch m.slots[i] {
		case n:
			return false
		case 0:
			m.slots[i] = n
			if m.used++; m.used > marksSlots/2 {
				m.spill()
			}
			return true
		}
	}
}

// spill moves the marks from the hash table to a bitmap.
func (m *marks) spill() {
	m.bitmap = newBitmap(m.last)
	for _, n := range m.slots {
		m.bitmap.set(n)
	}
}
