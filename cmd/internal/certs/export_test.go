package certs

import "time"

// ReloadEvery is how long a change of the files may go unnoticed.
const ReloadEvery = reloadEvery

// LookAgain makes the next use look at the files.
func (id *Identity) LookAgain() {
	id.mu.Lock()
	defer id.mu.Unlock()
	id.checked = time.Time{}
}
