// Package node assembles one Bursar node: it opens the Store, the consensus, the
// journal and the actors, introduces them to each other, serves both wires, and
// stops everything in the reverse order.
//
// It is the only package that knows all the others. It decides nothing about
// money and reads neither flags nor environment.
package node
