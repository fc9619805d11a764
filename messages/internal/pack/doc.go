// Package pack reads and writes the MessagePack bytes of Bursar's wire.
//
// Scanner finds where a message ends and refuses hostile ones without allocating.
// Decoder walks a scanned message field by field and names the path of what is
// wrong. The Append functions write, always in the shortest form, so that equal
// values are equal bytes.
package pack
