// Package mutants holds nothing but a table of defences, and the test that takes out one at
// a time to see that the checks miss it.
package mutants
