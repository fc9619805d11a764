package draw

// settle gives every point its height: sweeps to and fro let each row follow the
// one before it, and the last ones follow both neighbours.
func (w *web) settle() {
	for _, row := range w.rows {
		w.follow(row, w.before, w.before)
	}
	for n := range sweeps {
		for k := range w.rows {
			switch {
			case n >= sweeps-2:
				w.follow(w.rows[k], w.before, w.after)
			case n%2 == 0:
				w.follow(w.rows[len(w.rows)-1-k], w.after, w.after)
			default:
				w.follow(w.rows[k], w.before, w.before)
			}
		}
	}
}

// straight is how much more an edge's point that follows another one counts: long
// edges shall be straight.
const straight = 6.0

// follow moves a row to where its neighbours on the sides a and b ask for, as near as
// the gaps allow.
func (w *web) follow(row []int, a, b [][]int) {
	want, weight, offset := make([]float64, len(row)), make([]float64, len(row)), make([]float64, len(row))
	for p, i := range row {
		if p > 0 {
			offset[p] = offset[p-1] + w.gap(row[p-1], i)
		}
		sum, n := 0.0, 0.0
		for _, side := range [][][]int{a, b} {
			for _, other := range side[i] {
				pull := 1.0
				if i >= w.nodes && other >= w.nodes {
					pull = straight
				}
				sum, n = sum+pull*w.y[other], n+pull
			}
		}
		want[p], weight[p] = w.y[i]-offset[p], 0.1
		if n > 0 {
			want[p], weight[p] = sum/n-offset[p], n
		}
	}
	for p, y := range monotone(want, weight) {
		w.y[row[p]] = y + offset[p]
	}
}

// monotone is the ascending sequence nearest to want: of all y[0] <= y[1] <= ... the
// one with the least weighted sum of squares of y - want. Neighbours that want the
// wrong order are pooled until none do.
func monotone(want, weight []float64) []float64 {
	type pool struct {
		sum, weight float64
		members     int
	}
	mean := func(p pool) float64 { return p.sum / p.weight }
	var pools []pool
	for i := range want {
		pools = append(pools, pool{want[i] * weight[i], weight[i], 1})
		for n := len(pools); n > 1 && mean(pools[n-2]) > mean(pools[n-1]); n = len(pools) {
			last := pools[n-1]
			pools = pools[:n-1]
			pools[n-2].sum += last.sum
			pools[n-2].weight += last.weight
			pools[n-2].members += last.members
		}
	}
	y := make([]float64, 0, len(want))
	for _, p := range pools {
		for range p.members {
			y = append(y, mean(p))
		}
	}
	return y
}
