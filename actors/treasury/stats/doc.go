// Package stats counts what this node's part of the treasury decided, and shows what its
// executor waits for. It may be read while it is written, by anybody.
package stats
