# Bursar. Plain `make` lists the targets. Needs Go (see go.mod) and make; `make check`
# also needs Debian's prometheus and prometheus-alertmanager (promtool, amtool), a C compiler for the race detector, python3-msgpack and python3-cryptography for
# the Python clients, what .ci/run installs for those of other languages, and qemu-user to run what a Mac would.

GO       ?= go
COUNT    ?= 20
FUZZTIME ?= 5s
BENCH    ?= .
BENCHTIME ?= 1s
PKG      ?= ./...
SIM_SEEDS ?= 4000
SIM_NODES ?= 300

# Packages whose own goroutines share memory: the race detector runs on these.
RACE = ./actors ./actors/treasury ./cluster ./persistence ./supervision/... ./messages/wire ./monitoring ./cmd/internal/node

# Pinned in a module of its own, so that no tool's dependency becomes the program's.
LINT = $(GO) tool -modfile=.tools/go.mod golangci-lint

.DEFAULT_GOAL := help
.PHONY: dist dead sim-model help run build test check fmt vet lint cross arm64 docs race fuzz bench bench-three soak sim sim-nodes chaos chaos-short drill newest-prometheus bench-metrics

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## start a treasury of three nodes here and pay a real DAO's grants; Ctrl-C ends it
	@./bin/bursar dev $(ARGS)

build: ## build ./bin/bursar
	@$(GO) build -o bin/bursar ./cmd/bursar

dist: ## make ./dist of what is committed: archives, .debs, SBOMs and checksums, the same bytes each time
	@.tools/dist/build dist

test: ## run the tests (below five minutes on two cores)
	$(GO) test -timeout 5m ./...

check: fmt vet lint dead cross arm64 docs ## everything CI runs, `make test`, `make race`, `make sim` and `make chaos-short` included
	REQUIRE_PYTHON=1 REQUIRE_CLIENTS=1 REQUIRE_PROMTOOL=1 $(MAKE) --no-print-directory test
	$(MAKE) --no-print-directory race
	$(MAKE) --no-print-directory sim
	$(MAKE) --no-print-directory chaos-short
	$(MAKE) --no-print-directory drill DRILL=short

fmt: ## fail if a file is not formatted
	@files=$$(gofmt -s -l $$(git ls-files -- '*.go')); \
	if [ -n "$$files" ]; then echo "not formatted, run gofmt -s -w on:"; echo "$$files"; exit 1; fi

vet: ## go vet
	$(GO) vet ./...

dead: ## functions of the program that nothing reaches, those of .tools/seams.txt aside
	@$(GO) tool -modfile=.tools/go.mod deadcode -f '{{range .Funcs}}{{printf "%s.%s\n" $$.Path .Name}}{{end}}' ./cmd/bursar | \
		awk 'NR == FNR { seam[$$1]; next } \
			!($$1 in seam) { print $$1 " is unreachable: delete it, or say in .tools/seams.txt why it stays"; bad = 1 } { delete seam[$$1] } \
			END { for (name in seam) { print name " is in .tools/seams.txt and is reached, or gone"; bad = 1 }; exit bad }' .tools/seams.txt -

lint: ## golangci-lint with .golangci.yml (the first build of it takes some minutes)
	$(LINT) run ./...

cross: ## build and vet for the Macs
	GOOS=darwin GOARCH=arm64 $(GO) build ./...
	GOOS=darwin GOARCH=arm64 $(GO) vet ./...

arm64: ## compute the market's formulas as a Mac does, under qemu-user
	GOOS=linux GOARCH=arm64 $(GO) test -exec qemu-aarch64 ./actors/energy/market ./actors/energy/signing

docs: ## fail if a generated document is out of date
	$(GO) test -count=1 ./cmd/internal/archtest -build
	$(GO) test -count=1 -run 'UpToDate' ./messages/... ./monitoring ./cmd/...

race: ## run the tests of the concurrent packages under the race detector
	$(GO) test -race -timeout 25m $(RACE)

fuzz: ## fuzz each decoder for a short while: make fuzz FUZZTIME=1m
	@set -e; for pkg in $$($(GO) list ./...); do \
		for name in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$name"; \
			$(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

sim: sim-model ## simulate, model and whole nodes: make sim SIM_SEEDS=1000, or SEED=42 to repeat one of the model's and hear what happened
	$(if $(SEED),,@$(MAKE) --no-print-directory sim-nodes)

sim-model: ## simulate the model alone
	$(GO) test ./cmd/internal/sim -run '^TestModel$$' -count=1 -v -timeout 60m \
		$(if $(SEED),-seed $(SEED),-seeds $(SIM_SEEDS) -progress) $(ARGS)

sim-nodes: ## simulate whole nodes: SIM_NODES=1000, or SEED=42 COUNT=200 to repeat one until it fails
	$(GO) test ./cmd/internal/node -run '^TestSimulation$$' -timeout 60m -failfast \
		$(if $(SEED),-count=$(COUNT) -seed $(SEED),-count=1 -seeds $(SIM_NODES)) $(ARGS)

mutants: ## take out one defence at a time and see that the checks miss it (half an hour); MUTANTS=short is six minutes, or a part of a name
	$(GO) test ./cmd/internal/mutants -count=1 -v -timeout 240m -mutants '$(or $(MUTANTS),all)' $(ARGS)

chaos: ## do to real nodes what happens to machines (half an hour; root for the cables): make chaos RUN=Kill
	$(GO) test ./cmd/internal/chaos -count=1 -v -timeout 120m -live full $(if $(RUN),-run '$(RUN)') $(ARGS)

chaos-short: ## ten kills of the node that leads and pays, in less than a minute
	$(GO) test ./cmd/internal/chaos -count=1 -v -timeout 10m -live short $(ARGS)

drill: ## see alerts come with a real Prometheus and Alertmanager (a quarter of an hour): make drill DRILL=short, or an alert's name
	$(GO) test ./cmd/internal/alertdrill -count=1 -v -timeout 60m -run '^TestAlertsComeAndGo$$' -live $(or $(DRILL),full) $(ARGS)

NEWEST = $(GO) build -modfile=.tools/prometheus/go.mod -o bin/newest/

newest-prometheus: ## hold rules, alerts and two drills against the newest Prometheus as well (builds it: some minutes)
	$(NEWEST) github.com/prometheus/prometheus/cmd/promtool github.com/prometheus/prometheus/cmd/prometheus
	PATH="$(CURDIR)/bin/newest:$$PATH" REQUIRE_PROMTOOL=1 $(GO) test -count=1 ./monitoring
	PATH="$(CURDIR)/bin/newest:$$PATH" $(MAKE) --no-print-directory drill DRILL=short

bench: ## run the benchmarks: make bench PKG=./persistence BENCH=Apply
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem $(PKG)

bench-metrics: ## what the metrics cost: tells with and without them in turn, and scrapes of a node with 100,000 actors
	$(GO) test -c -o bin/metrics-on.test ./actors
	$(GO) test -c -tags nometrics -o bin/metrics-off.test ./actors
	@rm -f bin/on.txt bin/off.txt; for i in 1 2 3 4 5 6 7 8 9 10; do for how in off on; do \
		./bin/metrics-$$how.test -test.run '^$$' -test.bench 'Tell/.*/bursar' -test.benchtime 2000000x >> bin/$$how.txt; done; done
	$(GO) tool -modfile=.tools/go.mod benchstat bin/off.txt bin/on.txt
	$(GO) test ./cmd/internal/node -run '^$$' -bench 'Scrape' -benchmem

bench-three: ## measure three nodes, and three of etcd if it is installed: make bench-three PART=submissions
	$(GO) test ./cmd/internal/nodebench -run '^$$' -bench 'Three$(if $(PART),/$(PART))' -benchtime 3x -timeout 2h $(ARGS)

soak: ## repeat tests to find flakes: make soak COUNT=1000 PKG=./actors; ARGS='-run Killed -kills 200'
	$(GO) test -count $(COUNT) -timeout 120m -failfast $(PKG) $(ARGS)
