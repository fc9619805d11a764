//go:build nometrics

package actors

const measured = false
