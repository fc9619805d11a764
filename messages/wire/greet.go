package wire

import "github.com/the-block/bursar/messages"

// greets reports whether a call is for the greeter: each one of a node that was not let
// in yet, and each hello.
func (c *conn) greets(call *Call) bool {
	return c.greeting || c.server.greeter != nil && call.Method.Name == messages.MethodNodeHello
}

// greet has the greeter judge a call and reports whether the connection may go on.
func (c *conn) greet(req request, call *Call) bool {
	c.dispatch() // what came before keeps its caller
	hello, ok := call.Params.(*messages.HelloParams)
	if !ok {
		return c.turnDown(req, call, messages.Errorf(messages.CodeInvalidRequest,
			"this port is for the nodes of a cluster: the first call is %s", messages.MethodNodeHello))
	}
	node, answer, err := c.server.greeter.Greet(c.nc, &hello.Hello)
	if err != nil {
		return c.turnDown(req, call, err)
	}
	if !c.greeting && node != c.peer.Node {
		return c.turnDown(req, call, messages.Errorf(messages.CodeInvalidRequest,
			"%s said hello here, and now %s: a connection has one node", c.peer.Node, node))
	}
	c.peer.Node, c.greeting, c.limits = node, false, c.server.limits
	c.prove()
	c.settle(req, call.Method, answer, nil)
	return true
}

// turnDown says why not, and ends the connection.
func (c *conn) turnDown(req request, call *Call, err *messages.Error) bool {
	c.rejected = true
	c.settle(req, call.Method, nil, err)
	return false
}
