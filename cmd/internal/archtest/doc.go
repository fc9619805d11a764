// Package archtest holds docs/architecture.md against the code: which package may
// import which, where each library lives, which packages are pure, and that no
// file speaks of anything outside the project. It holds NOTICE against the modules that
// the program is linked from. It has tests only.
package archtest
