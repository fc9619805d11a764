//go:build deps

package bursar

import (
	_ "github.com/anishathalye/porcupine"
	_ "github.com/hashicorp/memberlist"
)
