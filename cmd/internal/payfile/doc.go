// Package payfile reads what people hand in: files of payments and of plans as spreadsheets
// and programs write them, and whole numbers.
//
// All of a file is judged before any of it is sent, as far as that can be done without a
// node, and all its faults are told at once. What was sent is remembered in a Memory beside
// the file, so that a row that was changed after it was paid is noticed. Reading and judging
// do no I/O: bytes in, rows or faults out.
package payfile
