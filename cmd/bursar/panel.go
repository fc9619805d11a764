package main

import (
	"fmt"
	"slices"
	"strings"
)

// nodesTable draws what is known of the nodes, one a line, the chosen one marked.
func nodesTable(s *sight, chosen int) []string {
	lines := []string{fmt.Sprintf("  %-4s %-9s %-34s %6s  %-22s %9s %7s %5s",
		"node", "role", "state", "shards", "does", "applied", "pid", "cpu")}
	for i := range s.nodes {
		n := &s.nodes[i]
		mark := " "
		if i == chosen {
			mark = "▸"
		}
		lines = append(lines, fmt.Sprintf("%s %-4s %-9s %-34s %6d  %-22s %9s %7d %5s", mark,
			n.name, n.role, clipped(n.state, 34), n.shards, strings.Join(s.does(n.name), " "), group(n.applied), n.pid, n.cpuText()))
	}
	return lines
}

// does names what a node does beside its share of the shards.
func (s *sight) does(name string) []string {
	var does []string
	for _, part := range []struct{ what, who string }{
		{"leader", s.leader}, {"executor", s.executor}, {"clock", s.clock},
	} {
		if part.who == name {
			does = append(does, part.what)
		}
	}
	return does
}

func (n *nodeSight) cpuText() string {
	if n.cpu < 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*n.cpu)
}

// nodesLine tells of all nodes in one line, without what changes all the time.
func nodesLine(s *sight) string {
	parts := make([]string, 0, len(s.nodes))
	for i := range s.nodes {
		n := &s.nodes[i]
		state, _, _ := strings.Cut(n.state, " since ") // which would be news each second
		words := append([]string{n.name, n.role, state}, s.does(n.name)...)
		if n.ready {
			words = append(words, fmt.Sprintf("%d shards", n.shards))
		}
		parts = append(parts, strings.Join(words, " "))
	}
	return "nodes: " + strings.Join(parts, " | ")
}

// clipped cuts a text to so many characters.
func clipped(text string, most int) string {
	runes := []rune(strings.TrimSpace(text))
	if len(runes) <= most {
		return string(runes)
	}
	return string(slices.Concat(runes[:most-1], []rune("…")))
}
