//go:build !nometrics

package actors

// measured says that messages are timed, one in sampleEvery. The build tag nometrics leaves
// that out, so that its cost can be told: make bench-metrics.
const measured = true
