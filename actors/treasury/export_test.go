package treasury

import "context"

// Steps is Follow by hand: each call carries what was committed since into the model.
func (t *Treasury) Steps(ctx context.Context) func() error {
	f := &follower{t: t}
	next := f.rebuild
	return func() error {
		step := next
		next = f.catchUp
		return step(ctx)
	}
}
