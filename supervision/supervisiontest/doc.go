// Package supervisiontest tests supervision trees: the real runtime in virtual
// time, faults on demand, and assertions on what happened, in order.
//
//	supervisiontest.Run(t, func(t *testing.T, tree *supervisiontest.Tree) {
//		tree.Spawn(shop)
//		tree.Panic("/shop/till", 1)
//		tree.Tell("/shop/till", sale{})
//		tree.Expect(
//			supervisiontest.Did("/shop/till", actors.EventFailed),
//			supervisiontest.Did("/shop/till", actors.EventRestarted),
//		)
//	})
//
// A scenario runs in a bubble of testing/synctest: a minute of an open breaker takes
// no time, and Wait returns when every actor has come to rest. Nothing is mocked: the
// same runtime, supervision and breakers serve a node.
//
// A Tree belongs to the goroutine of its scenario. Real sockets, files and goroutines
// from outside do not work in a bubble.
package supervisiontest
