module example.org/counter

go 1.26.0

require github.com/the-block/bursar v0.0.0

replace github.com/the-block/bursar => ../../..

// Bursar's own: raft-wal imports a package that newer versions have dropped.
replace github.com/hashicorp/go-metrics => github.com/hashicorp/go-metrics v0.5.4
