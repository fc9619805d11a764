// Package meter reads what real meters and portals give: DSMR P1 telegrams, NEM12,
// Green Button (ESPI), PVOutput and plain CSV. It turns them into one register that only
// grows, kept exactly, whatever the source does: hours twice and hours missing, values
// that were estimated, meters that were exchanged, registers that ran over.
//
// Every reader takes its source as a stream in bounded memory, says what it passes over
// and why, and goes on behind it. The package is pure: the source and the time zone are
// arguments.
package meter
