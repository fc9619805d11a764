// Package audit holds a Store at rest against what must be true of any treasury: tests end
// with it, and bursar verify runs it. It knows nothing of actors: it reads rows.
package audit
