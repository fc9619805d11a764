// Package draw makes pictures of disbursements and what they wait for: an SVG that
// stands for itself, or a DOT file for Graphviz.
//
// # Layout
//
// Money flows from left to right: a disbursement stands to the right of everything
// it waits for. The steps are those of layered drawing, each small:
//
//   - components that no edge connects are laid out one by one and packed in rows;
//   - a node's layer is the longest way to it, and a node without dependencies moves
//     next to the first that waits for it;
//   - an edge over several layers is led through a point in each of them;
//   - sweeps to and fro order each layer by the mean place of its neighbours, and
//     the order with the fewest crossings is kept;
//   - sweeps give each point the height its neighbours ask for, as near as the gaps
//     between points of a layer allow (least squares, by pooling adjacent violators).
//
// The same graph always gets the same picture, byte for byte. The package is pure:
// pictures are appended to bytes, nobody is asked for the time.
package draw
