package draw

import (
	"cmp"
	"slices"
)

// order finds an order of each row with few crossings.
func (w *web) order() {
	w.explore()
	best, fewest := w.copyRows(), w.crossings()
	for sweep := 0; sweep < sweeps && fewest > 0; sweep++ {
		w.sweep(sweep%2 == 0)
		if n := w.crossings(); n < fewest {
			best, fewest = w.copyRows(), n
		}
	}
	w.rows = best
	for layer := range w.rows {
		w.number(layer)
	}
}

// explore fills the rows in the order of a depth-first walk, which keeps what hangs
// together together.
func (w *web) explore() {
	seen := make([]bool, len(w.layer))
	for start := range w.layer {
		stack := []int{start}
		for len(stack) > 0 {
			i := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if seen[i] {
				continue
			}
			seen[i] = true
			w.rows[w.layer[i]] = append(w.rows[w.layer[i]], i)
			for _, neighbours := range [][]int{w.before[i], w.after[i]} {
				for _, next := range slices.Backward(neighbours) {
					if !seen[next] {
						stack = append(stack, next)
					}
				}
			}
		}
	}
	for layer := range w.rows {
		w.number(layer)
	}
}

func (w *web) number(layer int) {
	for p, i := range w.rows[layer] {
		w.place[i] = p
	}
}

func (w *web) copyRows() [][]int {
	rows := make([][]int, len(w.rows))
	for i := range rows {
		rows[i] = slices.Clone(w.rows[i])
	}
	return rows
}

// sweep orders each row by the mean place of its neighbours in the row that was
// ordered before it. Who has no neighbour there stays where it is.
func (w *web) sweep(forward bool) {
	mean := make([]float64, len(w.layer))
	for n := range w.rows {
		layer, neighbours := n, w.before
		if !forward {
			layer, neighbours = len(w.rows)-1-n, w.after
		}
		for _, i := range w.rows[layer] {
			mean[i] = float64(w.place[i])
			if len(neighbours[i]) > 0 {
				sum := 0
				for _, other := range neighbours[i] {
					sum += w.place[other]
				}
				mean[i] = float64(sum) / float64(len(neighbours[i]))
			}
		}
		slices.SortStableFunc(w.rows[layer], func(a, b int) int { return cmp.Compare(mean[a], mean[b]) })
		w.number(layer)
	}
}

// crossings counts the crossings between each pair of rows: pairs of edges whose
// ends stand in the opposite order of their starts.
func (w *web) crossings() int {
	count := 0
	for layer := range w.rows[:len(w.rows)-1] {
		var ends []int // ascending ends of the edges that start above
		for _, i := range w.rows[layer] {
			places := make([]int, 0, len(w.after[i]))
			for _, to := range w.after[i] {
				places = append(places, w.place[to])
			}
			for _, p := range places {
				at, _ := slices.BinarySearch(ends, p+1)
				count += len(ends) - at
			}
			ends = append(ends, places...)
			slices.Sort(ends)
		}
	}
	return count
}
