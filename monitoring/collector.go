package monitoring

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/the-block/bursar/messages"
)

// collector turns snapshots of the sources into metrics at each scrape.
type collector struct{ sources Sources }

// Describe sends every family's descriptor.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, family := range Families() {
		ch <- family.desc
	}
}

// Collect asks every source once.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	out := sink(ch)
	c.collectNode(out)
	if c.sources.Treasury != nil {
		collectTreasury(out, c.sources.Treasury())
	}
	if c.sources.Executor != nil {
		c.collectExecutor(out)
	}
	if c.sources.RPC != nil {
		collectRPC(out, c.sources.RPC())
	}
	if c.sources.Journal != nil {
		collectJournal(out, c.sources.Journal())
	}
	if c.sources.Cluster != nil {
		collectCluster(out, c.sources.Cluster())
	}
	if c.sources.Actors != nil {
		collectActors(out, c.sources.Actors(), c.sources.Node.Started)
	}
	if c.sources.Breakers != nil {
		collectBreakers(out, c.sources.Breakers())
	}
}

func (c collector) collectNode(out sink) {
	node := c.sources.Node
	out.put(metrics.info, 1, string(node.Name), node.Role, node.Version)
	out.put(metrics.ready, boolean(c.sources.Ready() == nil))
}

func collectTreasury(out sink, t Treasury) {
	out.put(metrics.balance, float64(t.Balance))
	out.put(metrics.epoch, float64(t.Epoch))
	for _, state := range messages.States() {
		out.put(metrics.disbursements, float64(t.Entered[state]), state.String())
		out.put(metrics.states, float64(t.States[state]), state.String())
		if !state.Final() {
			out.put(metrics.backlog, float64(t.States[state]), state.String())
		}
	}
	out.putClosed(metrics.executionErrors, t.ExecutionErrors, executionReasons)
	out.putClosed(metrics.dependencyFailures, t.DependencyFailures, dependencyFailures)
	out.put(metrics.recoveries, float64(t.Recoveries))
	out.put(metrics.recoveriesFailed, float64(t.RecoveriesFailed))
}

func (c collector) collectExecutor(out sink) {
	executor, owned := c.sources.Executor()
	out.put(metrics.executorActive, boolean(owned), closed(c.sources.Node.Role, roles))
	if !owned {
		return
	}
	out.put(metrics.breakerState, float64(executor.BreakerState))
	out.put(metrics.breakerFailures, float64(executor.BreakerFailures))
	out.put(metrics.breakerSuccesses, float64(executor.BreakerSuccesses))
	out.put(metrics.executorInFlight, float64(executor.InFlight))
	out.putHistogram(metrics.lag, executor.Lag)
	out.putHistogram(metrics.tick, executor.Tick)
}

func collectRPC(out sink, rpc RPC) {
	out.put(metrics.rpcInFlight, float64(rpc.InFlight))
	out.put(metrics.rpcConnections, float64(rpc.Connections))
	putMethods(out, metrics.rpcRequests, foldMethods(rpc.Methods, MethodsMax))
	refusals := make(map[string]uint64)
	for code, n := range rpc.Refusals {
		refusals[codeLabel(code)] += n
	}
	for label, n := range refusals {
		out.put(metrics.rpcRefusals, float64(n), label)
	}
}

// codeLabel is the code's name, "other" for a number that has none.
func codeLabel(code messages.Code) string {
	label := code.String()
	if strings.Trim(label, "-0123456789") == "" {
		return other
	}
	return label
}

func putMethods(out sink, family Family, methods []Method) {
	for _, m := range methods {
		out.put(family, float64(m.OK), m.Name, "ok")
		out.put(family, float64(m.Refused), m.Name, "refused")
		out.put(family, float64(m.Failed), m.Name, "failed")
	}
}

// foldMethods keeps the first most methods and sums the others under "other".
func foldMethods(methods []Method, most int) []Method {
	kept := make([]Method, 0, min(len(methods), most)+1)
	rest := Method{Name: other}
	for _, m := range methods {
		if m.Name != other && len(kept) < most {
			kept = append(kept, m)
			continue
		}
		rest.OK += m.OK
		rest.Refused += m.Refused
		rest.Failed += m.Failed
	}
	return append(kept, rest)
}

func collectJournal(out sink, j Journal) {
	out.put(metrics.journalTxns, float64(j.Txns))
	out.put(metrics.journalBatches, float64(j.Batches))
	out.put(metrics.journalOverloaded, float64(j.Overloaded))
	out.put(metrics.journalUnfinished, float64(j.Unavailable), "unavailable")
	out.put(metrics.journalUnfinished, float64(j.Unknown), "unknown")
	out.put(metrics.journalQueued, float64(j.Queued))
	out.put(metrics.journalQueuedBytes, float64(j.QueuedBytes))
	out.put(metrics.journalLagging, float64(j.Lagging))
	out.putHistogram(metrics.journalBatchTxns, j.BatchTxns)
	out.putHistogram(metrics.journalCommit, j.CommitSeconds.within(latencyMin, latencyMax))
}

func collectActors(out sink, a Actors, started time.Time) {
	for _, k := range foldKinds(a.Kinds) {
		out.put(metrics.kindActive, float64(k.Active), k.Name)
		out.put(metrics.kindMessages, float64(k.Messages), k.Name)
		out.put(metrics.kindDepth, float64(k.Depth), k.Name)
		out.put(metrics.kindRejected, float64(k.Rejected), k.Name)
		out.put(metrics.kindRestarts, float64(k.Restarts), k.Name)
		out.put(metrics.kindDead, float64(k.DeadLetters), k.Name)
		out.putDouble(metrics.kindWait, k.Wait, started, k.Name)
		out.putDouble(metrics.kindProcessing, k.Processing, started, k.Name)
	}
	for _, actor := range foldActors(a) {
		out.put(metrics.actorDepth, float64(actor.Depth), actor.Path)
		out.put(metrics.actorMessages, float64(actor.Messages), actor.Path)
		out.put(metrics.actorProcessing, actor.ProcessingSeconds, actor.Path)
	}
}

// foldKinds keeps KindsMax kinds and sums the others under "other", without their
// histograms, whose bounds may differ.
func foldKinds(kinds []Kind) []Kind {
	if len(kinds) <= KindsMax {
		return kinds
	}
	rest := Kind{Name: other}
	for _, k := range kinds[KindsMax:] {
		rest.Active += k.Active
		rest.Messages += k.Messages
		rest.Depth += k.Depth
		rest.Rejected += k.Rejected
		rest.Restarts += k.Restarts
		rest.DeadLetters += k.DeadLetters
	}
	return append(slices.Clone(kinds[:KindsMax]), rest)
}

// foldActors keeps BusiestMax actors and adds the others to the rest.
func foldActors(a Actors) []Actor {
	kept, surplus := a.Busiest, []Actor(nil)
	if len(kept) > BusiestMax {
		kept, surplus = kept[:BusiestMax], kept[BusiestMax:]
	}
	rest := a.Rest
	rest.Path = restActor
	for _, actor := range surplus {
		rest.Depth += actor.Depth
		rest.Messages += actor.Messages
		rest.ProcessingSeconds += actor.ProcessingSeconds
	}
	return append(slices.Clone(kept), rest)
}

// sink takes metrics.
type sink chan<- prometheus.Metric

// put sends one sample. Label values are cleaned, because bytes that are not UTF-8
// would fail the whole scrape.
func (s sink) put(family Family, value float64, labels ...string) {
	kind := prometheus.GaugeValue
	if family.Type == "counter" {
		kind = prometheus.CounterValue
	}
	s <- prometheus.MustNewConstMetric(family.desc, kind, value, clean(labels)...)
}

// putClosed sends one sample for each allowed label value, absent ones as 0, and
// the sum of all others as "other" if there are any.
func (s sink) putClosed(family Family, counts map[string]uint64, allowed []string) {
	var rest uint64
	for value, n := range counts {
		if !slices.Contains(allowed, value) {
			rest += n
		}
	}
	for _, value := range allowed {
		s.put(family, float64(counts[value]), value)
	}
	if rest > 0 {
		s.put(family, float64(rest), other)
	}
}

// putHistogram sends a histogram. It sends nothing for one that is empty of buckets.
func (s sink) putHistogram(family Family, h Histogram, labels ...string) {
	if h.valid() {
		s <- classic(family, h, clean(labels))
	}
}

// putDouble sends a histogram of latencies with a native one beside it.
func (s sink) putDouble(family Family, h Histogram, started time.Time, labels ...string) {
	if h.valid() {
		labels = clean(labels)
		s <- withNative(classic(family, h.within(latencyMin, latencyMax), labels), h, started, labels)
	}
}

// classic makes a classic histogram, its buckets merged until at most BoundsMax bounds
// remain.
func classic(family Family, h Histogram, labels []string) prometheus.Metric {
	step := max(1, (len(h.Bounds)+BoundsMax-1)/BoundsMax)
	buckets := make(map[float64]uint64, BoundsMax)
	var total uint64
	for i, n := range h.Counts {
		total += n
		if i < len(h.Bounds) && (i+1)%step == 0 {
			buckets[h.Bounds[i]] = total
		}
	}
	return prometheus.MustNewConstHistogram(family.desc, total, h.Sum, buckets, labels...)
}

func clean(labels []string) []string {
	cleaned := slices.Clone(labels)
	for i := range cleaned {
		cleaned[i] = strings.ToValidUTF8(cleaned[i], "_")
	}
	return cleaned
}

// closed returns value if it is allowed, else "other".
func closed(value string, allowed []string) string {
	if slices.Contains(allowed, value) {
		return value
	}
	return other
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// sum adds up the counts of a map.
func sum[K comparable](counts map[K]uint64) uint64 {
	var total uint64
	for n := range maps.Values(counts) {
		total += n
	}
	return total
}
