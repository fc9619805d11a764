package messages

import (
	"slices"
	"strconv"
	"strings"

	"github.com/the-block/bursar/messages/internal/pack"
)

// The methods of the energy market.
const (
	MethodRegisterProvider = "energy.register_provider"
	MethodUpdateProvider   = "energy.update_provider"
	MethodRotateKey        = "energy.rotate_key"
	MethodReinstate        = "energy.reinstate"
	MethodEnergySettings   = "energy.settings"
	MethodMarketState      = "energy.market_state"
	MethodSubmitReading    = "energy.submit_reading"
	MethodSubmitReadings   = "energy.submit_readings"
	MethodSettle           = "energy.settle"
	MethodReceipts         = "energy.receipts"
	MethodCredits          = "energy.credits"
	MethodSlashes          = "energy.slashes"
	MethodDisputes         = "energy.disputes"
	MethodFlagDispute      = "energy.flag_dispute"
	MethodResolveDispute   = "energy.resolve_dispute"
)

var energyMethods = []*Method{
	changes[RegisterProviderParams, RegisterProviderResult](Submitter, MethodRegisterProvider,
		"Registers a provider: its meter, its key and its stake.", CodeProviderInactive),
	changes[UpdateProviderParams, ProviderResult](Submitter, MethodUpdateProvider,
		"Changes what a provider asks and offers. Its owner's certificate, or an operator.", CodeProviderInactive),
	changes[RotateKeyParams, ProviderResult](Submitter, MethodRotateKey,
		"Replaces a provider's key. Signed by the present one, or an operator.", CodeProviderInactive, CodeSignatureInvalid),
	changes[ProviderParams, ProviderResult](Operator, MethodReinstate,
		"Lets a suspended provider report again; its reputation begins anew.", CodeProviderInactive),
	changes[EnergySettingsParams, EnergySettingsResult](Operator, MethodEnergySettings,
		"The market's settings. Those that are given are set first; anybody may read them."),
	reads[MarketStateParams, MarketStateResult](MethodMarketState,
		"The market: its fee, price and volume, and its providers by id.", CodeProviderInactive),
	changes[SubmitReadingParams, SubmitReadingResult](Submitter, MethodSubmitReading,
		"Takes a signed reading and mints its credit. Its nonce is its request id: a repeat is nonce_replay, whose data "+
			"tells what the first was worth.", readingErrors...),
	changes[SubmitReadingsParams, SubmitReadingsResult](Submitter, MethodSubmitReadings,
		"Takes up to 256 signed readings, each judged for itself."),
	changes[SettleParams, SettleResult](Submitter, MethodSettle,
		"Sells part of a credit. The named buyer's certificate, or an operator.", CodeProviderInactive,
		CodeSettlementConflict, CodeQuorumFailed, CodeRehearsal),
	reads[EnergyListParams, ReceiptsResult](MethodReceipts, "Settlements, newest first."),
	reads[EnergyListParams, CreditsResult](MethodCredits, "Credits, newest first."),
	reads[EnergyListParams, SlashesResult](MethodSlashes, "What was taken from stakes, and failed settlements, newest first."),
	reads[EnergyListParams, DisputesResult](MethodDisputes, "Disputes, newest first."),
	changes[FlagDisputeParams, FlagDisputeResult](Submitter, MethodFlagDispute,
		"Doubts a reading: its credit is held until the dispute is resolved.", CodeSettlementConflict),
	changes[ResolveDisputeParams, ResolveDisputeResult](Operator, MethodResolveDispute,
		"Ends a dispute: the credit is free, held on, or void.", CodeSettlementConflict, CodeNotFound),
}

// readingErrors are those of one reading.
var readingErrors = []Code{CodeProviderInactive, CodeTimestampSkew, CodeNonceReplay, CodeSignatureInvalid, CodeMeterMismatch}

// The limits of the market's messages, in bytes and elements. They keep a page of a
// thousand rows within one reply, or near it.
const (
	OwnerMax        = 120
	JurisdictionMax = 32
	MeterMax        = 128
	BuyerMax        = OwnerMax
	DisputeTextMax  = 256
	NoteMax         = 1_024
	// ReadingsMax is the most readings of one call.
	ReadingsMax = 256
)

// ProviderID numbers an energy provider, an oracle, in the order of registration:
// 0, 1, 2 ... On the wire, and in what an oracle signs, it is its text.
type ProviderID uint64

const providerPrefix = "energy-0x"

// String gives the id as it is written everywhere: energy-0x00000000.
func (id ProviderID) String() string { return string(id.Append(nil)) }

// Append appends what String gives.
func (id ProviderID) Append(b []byte) []byte {
	b = append(b, providerPrefix...)
	for limit := uint64(1) << 28; limit > max(uint64(id), 1); limit >>= 4 {
		b = append(b, '0')
	}
	return strconv.AppendUint(b, uint64(id), 16)
}

// ParseProviderID reads what String wrote, and nothing else.
func ParseProviderID(text string) (id ProviderID, ok bool) {
	digits, ok := strings.CutPrefix(text, providerPrefix)
	if !ok {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 16, 64)
	id = ProviderID(number)
	return id, err == nil && id.String() == text
}

// MeterHash names a reading, and so the credit that it minted.
type MeterHash [32]byte

// PublicKey is an Ed25519 public key, Signature an Ed25519 signature.
type (
	PublicKey [32]byte
	Signature [64]byte
)

// Reading is what an oracle says of its meter, with its signature.
type Reading struct {
	Provider  ProviderID
	Meter     string
	KWh       uint64 // cumulative: the register, not what was used since the last one
	Timestamp uint64 // Unix seconds
	Nonce     uint64 // rises from reading to reading
	Signature Signature
}

// provider is the id of a provider.
func (f *fields) provider(name string, id *ProviderID, text string) *fields {
	switch f.mode {
	case decoding:
		if f.here(name) {
			var ok bool
			if *id, ok = ParseProviderID(string(f.in.Bytes())); !ok {
				f.in.Refuse("want %s and at least 8 digits of lower-case hex", providerPrefix)
			}
		}
	case appending:
		if f.writes(name, false) {
			f.b = pack.AppendString(f.b, id.String())
		}
	case describing:
		f.describe(name, "string", text)
	}
	return f
}

// raw is exactly so many raw bytes; over JSON they are written in hex.
func (f *fields) raw(name string, v []byte, text string) *fields {
	switch f.mode {
	case decoding:
		if f.here(name) {
			if b := f.in.Binary(); len(b) == len(v) {
				copy(v, b)
			} else {
				f.in.Refuse("%d bytes, want %d", len(b), len(v))
			}
		}
	case appending:
		if f.writes(name, false) {
			f.b = pack.AppendBinary(f.b, v)
		}
	case describing:
		f.describe(name, "binary", text).Max = uint64(len(v))
	}
	return f
}

// mine is the provider that a call is about.
func (f *fields) mine(id *ProviderID) {
	f.must().provider("provider_id", id, "The provider.")
}

func (r *Reading) fields(f *fields) {
	f.mine(&r.Provider)
	f.must().text("meter_address", &r.Meter, "Its meter.").max(MeterMax)
	f.must().uint("kwh_reading", &r.KWh, "What the register says: cumulative.")
	f.must().uint("timestamp", &r.Timestamp, "When it said so; Unix seconds.")
	f.must().uint("nonce", &r.Nonce, "Above the last reading's.")
	f.must().raw("signature", r.Signature[:], "Ed25519, over BLAKE3 of the fields: docs/reference/energy.md.")
}

// RegisterProviderParams are the parameters of register_provider.
type RegisterProviderParams struct {
	Options
	Owner        string
	Capacity     uint64
	Price        Amount
	Jurisdiction string
	Meter        string
	Stake        Amount
	Key          PublicKey
}

func (p *RegisterProviderParams) fields(f *fields) {
	f.must().text("owner", &p.Owner, "Who owns it: the name in a certificate, an account.").max(OwnerMax).identity(p.Owner)
	f.must().uint("capacity_kwh", &p.Capacity, "What it has to sell.")
	f.must().uint("price_per_kwh", (*uint64)(&p.Price), "In the smallest unit of BLOCK.")
	f.must().text("jurisdiction", &p.Jurisdiction, "Whose law it is under.").max(JurisdictionMax).identity(p.Jurisdiction)
	f.must().text("meter_address", &p.Meter, "Its meter, which no other provider has.").max(MeterMax).identity(p.Meter)
	f.must().uint("stake", (*uint64)(&p.Stake), "At least min_stake.")
	f.must().raw("public_key", p.Key[:], "Its Ed25519 key.")
}

// RegisterProviderResult answers register_provider.
type RegisterProviderResult struct {
	Provider  ProviderID
	Duplicate bool
}

func (r *RegisterProviderResult) fields(f *fields) {
	f.provider("provider_id", &r.Provider, "Its id.")
	f.duplicate(&r.Duplicate)
}

// UpdateProviderParams are the parameters of update_provider.
type UpdateProviderParams struct {
	Options
	Provider ProviderID
	Price    Amount // 0 leaves it
	Capacity uint64 // 0 leaves it
	StakeAdd Amount
}

func (p *UpdateProviderParams) fields(f *fields) {
	f.mine(&p.Provider)
	f.may("unchanged").uint("price_per_kwh", (*uint64)(&p.Price), "The new price.")
	f.may("unchanged").uint("capacity_kwh", &p.Capacity, "The new capacity; not below what is sold.")
	f.may("0").uint("stake_add", (*uint64)(&p.StakeAdd), "What is put down beside the stake.")
}

// RotateKeyParams are the parameters of rotate_key.
type RotateKeyParams struct {
	Options
	Provider ProviderID
	Key      PublicKey
	// Signature by the present key; none from an operator.
	Signature []byte
}

func (p *RotateKeyParams) fields(f *fields) {
	f.mine(&p.Provider)
	f.must().raw("public_key", p.Key[:], "The new Ed25519 key.")
	f.may("an operator's call").binary("signature", &p.Signature,
		`By the present key, over BLAKE3("rotate" | provider_id | new key).`).max(64)
}

// ProviderParams are for methods about one provider.
type ProviderParams struct {
	Options
	Provider ProviderID
}

func (p *ProviderParams) fields(f *fields) { f.mine(&p.Provider) }

// ProviderResult answers what changes a provider.
type ProviderResult struct {
	Provider  ProviderID
	Duplicate bool
}

func (r *ProviderResult) fields(f *fields) {
	f.provider("provider_id", &r.Provider, "The provider.")
	f.duplicate(&r.Duplicate)
}

// EnergySettings are the market's parameters.
type EnergySettings struct {
	MinStake        Amount
	FeeBPS          uint64
	FeeFixed        bool
	QuorumPPM       PPM
	TimeoutEpochs   Epoch
	SlashingBPS     uint64
	Mode            string // real_time or batch
	Rehearsal       bool
	BackfillWindow  uint64
	ChallengeEpochs Epoch
	ReportInterval  uint64
}

// The modes of settlement.
const (
	ModeRealTime = "real_time"
	ModeBatch    = "batch"
)

// EnergySettingsParams are the parameters of energy.settings.
type EnergySettingsParams struct {
	Options
	// Given says which settings are to be set, by their place from the lowest bit.
	Given    uint64
	Settings EnergySettings
}

func (p *EnergySettingsParams) fields(f *fields) { p.Settings.each(f, &p.Given) }

// each names the settings. Of params, given says which of them there are.
func (s *EnergySettings) each(f *fields, given *uint64) {
	bit := uint64(1)
	may := func() *fields {
		if given == nil {
			return f
		}
		return f.defaults("unchanged").only(*given&bit != 0)
	}
	note := func(f *fields) {
		if given != nil && f.got {
			*given |= bit
		}
		bit <<= 1
	}
	note(may().uint("min_stake", (*uint64)(&s.MinStake), "Least stake of a new provider."))
	note(may().uint("fee_bps", &s.FeeBPS, "The base of the fee, in 1/10,000; 100 to 1,000."))
	note(may().bool("fee_fixed", &s.FeeFixed, "Charge fee_bps as it is."))
	note(may().uint("quorum_threshold_ppm", (*uint64)(&s.QuorumPPM), "Least share of the capacity in a settlement."))
	note(may().uint("oracle_timeout_epochs", (*uint64)(&s.TimeoutEpochs), "Age at which a credit expires, and wait of batch mode; 0 is none."))
	note(may().uint("slashing_rate_bps", &s.SlashingBPS, "Part of each price that is taken from the stake, in 1/10,000."))
	note(may().text("mode", &s.Mode, "When a credit can be settled.").chosen(s.Mode, []string{ModeRealTime, ModeBatch}))
	note(may().bool("rehearsal", &s.Rehearsal, "Refuse every settlement."))
	note(may().uint("backfill_window", &s.BackfillWindow, "How old a backfilled reading may be, in seconds; 0 is none."))
	note(may().uint("challenge_epochs", (*uint64)(&s.ChallengeEpochs), "How long a backfilled credit waits for disputes."))
	note(may().uint("report_interval", &s.ReportInterval, "How long after its last reading an oracle counts as active, in seconds."))
}

// Give says that the named settings are to be set.
func (p *EnergySettingsParams) Give(names ...string) {
	for i, f := range describe(p) {
		if slices.Contains(names, f.Name) {
			p.Given |= 1 << i
		}
	}
}

// Over gives settings with those that the call sets in their place.
func (p *EnergySettingsParams) Over(s EnergySettings) EnergySettings {
	after := EnergySettingsParams{Settings: s}
	if fault := decodeWhole(appendMessage(nil, p), "settings", &after, false); fault != nil {
		panic(fault) // it cannot read what it has written
	}
	return after.Settings
}

// Sets reports whether the call sets anything.
func (p *EnergySettingsParams) Sets() bool { return p.Given != 0 }

func (p *EnergySettingsParams) changes() bool { return p.Sets() }

// needs is the role for it.
func (p *EnergySettingsParams) needs(Caller) Role {
	if p.Sets() {
		return Operator
	}
	return Reader
}

// EnergySettingsResult answers energy.settings.
type EnergySettingsResult struct {
	Settings     EnergySettings
	AppliedIndex uint64
	Duplicate    bool
}

func (r *EnergySettingsResult) fields(f *fields) {
	r.Settings.each(f, nil)
	f.applied(&r.AppliedIndex)
	f.duplicate(&r.Duplicate)
}

// MarketStateParams are the parameters of market_state.
type MarketStateParams struct {
	Options
	// Provider is the only one asked for, if One is set.
	Provider ProviderID
	One      bool
	Page
}

func (p *MarketStateParams) fields(f *fields) {
	f.oneProvider(&p.Provider, &p.One)
	p.Page.fields(f)
}

// oneProvider is the provider that a list is about, if it is about one.
func (f *fields) oneProvider(id *ProviderID, one *bool) {
	f.defaults("all").only(*one).provider("provider_id", id, "The provider.")
	*one = *one || f.got && f.mode == decoding
}

// Provider is a provider as readers see it.
type Provider struct {
	ID            ProviderID
	Owner         string
	Capacity      uint64
	Available     uint64
	Price         Amount
	Jurisdiction  string
	Meter         string
	Stake         Amount
	Key           PublicKey
	Status        string
	RegisteredAt  uint64
	Readings      uint64
	LastKWh       uint64
	LastTimestamp uint64
	LastNonce     uint64
	LastSeen      uint64
	Minted        uint64
	Settled       uint64
	Score         PPM
	Confidence    PPM
	Delivery      PPM
	MeterScore    PPM
	Latency       PPM
	CapacityScore PPM
}

func (p *Provider) fields(f *fields) {
	f.provider("provider_id", &p.ID, "Its id.")
	f.text("owner", &p.Owner, "Who owns it.")
	f.uint("capacity_kwh", &p.Capacity, "What it had to sell.")
	f.uint("available_kwh", &p.Available, "What it has left to sell.")
	f.uint("price_per_kwh", (*uint64)(&p.Price), "In the smallest unit of BLOCK.")
	f.text("jurisdiction", &p.Jurisdiction, "Whose law it is under.")
	f.text("meter_address", &p.Meter, "Its meter.")
	f.uint("stake", (*uint64)(&p.Stake), "What it has put down, less what was taken.")
	f.raw("public_key", p.Key[:], "Its Ed25519 key.")
	f.text("status", &p.Status, "").oneOf([]string{"active", "idle", "suspended"})
	f.uint("registered_at", &p.RegisteredAt, "Unix seconds.")
	f.uint("readings", &p.Readings, "How many were accepted.")
	f.uint("last_kwh", &p.LastKWh, "Of the last reading.")
	f.uint("last_timestamp", &p.LastTimestamp, "Of the last reading; Unix seconds.")
	f.uint("last_nonce", &p.LastNonce, "Of the last reading.")
	f.uint("last_seen", &p.LastSeen, "When the last reading came; Unix seconds.")
	f.uint("minted_kwh", &p.Minted, "What its readings minted.")
	f.uint("settled_kwh", &p.Settled, "What was settled of it.")
	f.uint("score_ppm", (*uint64)(&p.Score), "Its reputation.")
	f.uint("confidence_ppm", (*uint64)(&p.Confidence), "How well that is known.")
	f.uint("delivery_ppm", (*uint64)(&p.Delivery), "Factor of the reputation: settlements.")
	f.uint("meter_ppm", (*uint64)(&p.MeterScore), "Factor: readings accepted or refused.")
	f.uint("latency_ppm", (*uint64)(&p.Latency), "Factor: how soon its readings come.")
	f.uint("capacity_ppm", (*uint64)(&p.CapacityScore), "Factor: what it has left to sell.")
}

// MarketStateResult answers market_state.
type MarketStateResult struct {
	Providers       []Provider
	FeeBPS          uint64
	Price           Amount
	Volume          uint64
	OraclesActive   uint64
	DisputesPending uint64
	ProvidersCount  uint64
	Epoch           Epoch
	Node            string // the market's owner
	NextCursor      Cursor
	AppliedIndex    uint64
}

func (r *MarketStateResult) fields(f *fields) {
	objects(f, "providers", &r.Providers, 0, "By id.")
	f.uint("fee_bps", &r.FeeBPS, "The treasury's part of a price in this epoch, in 1/10,000.")
	f.uint("price", (*uint64)(&r.Price), "A kWh, by the volume of the last hour's settlements; 0 for none.")
	f.uint("volume_kwh", &r.Volume, "Settled within the last hour.")
	f.uint("oracles_active", &r.OraclesActive, "That have reported within their interval.")
	f.uint("disputes_pending", &r.DisputesPending, "That are open.")
	f.uint("providers_count", &r.ProvidersCount, "That are registered.")
	f.uint("epoch", (*uint64)(&r.Epoch), "That the fee was published for.")
	f.text("node", &r.Node, "The market's owner; empty while there is none.")
	f.nextCursor(&r.NextCursor)
	f.applied(&r.AppliedIndex)
}

// SubmitReadingParams are the parameters of submit_reading.
type SubmitReadingParams struct {
	Options
	Reading
}

func (p *SubmitReadingParams) fields(f *fields) { p.Reading.fields(f) }

// SubmitReadingResult answers submit_reading.
type SubmitReadingResult struct {
	Hash   MeterHash
	Credit uint64
}

func (r *SubmitReadingResult) fields(f *fields) {
	f.raw("meter_hash", r.Hash[:], "Names the reading and its credit.")
	f.uint("credit_kwh", &r.Credit, "What it minted.")
}

// SubmitReadingsParams are the parameters of submit_readings.
type SubmitReadingsParams struct {
	Options
	Readings []Reading
	Backfill bool
}

func (p *SubmitReadingsParams) fields(f *fields) {
	objects(f.must(), "readings", &p.Readings, ReadingsMax, "Each judged for itself; of one provider in their order.")
	f.may("false").bool("backfill", &p.Backfill, "They may be as old as the setting backfill_window allows.")
}

// ReadingOutcome is what became of one reading.
type ReadingOutcome struct {
	Hash   MeterHash
	Credit uint64
	Error  *Error // nil if it was accepted
}

func (o *ReadingOutcome) fields(f *fields) {
	f.raw("meter_hash", o.Hash[:], "Names the reading and its credit.")
	f.uint("credit_kwh", &o.Credit, "What it minted; 0 where it was refused.")
	optional(f.may("accepted"), "error", &o.Error, func() *Error { return new(Error) }, "Why it was refused: code, name, message and data.")
}

// SubmitReadingsResult answers submit_readings.
type SubmitReadingsResult struct {
	Outcomes []ReadingOutcome
}

func (r *SubmitReadingsResult) fields(f *fields) {
	objects(f, "outcomes", &r.Outcomes, 0, "One for each reading, in their order.")
}

// SettleParams are the parameters of settle.
type SettleParams struct {
	Options
	Provider ProviderID
	Buyer    string
	KWh      uint64
	Hash     MeterHash
}

func (p *SettleParams) fields(f *fields) {
	f.mine(&p.Provider)
	f.must().text("buyer", &p.Buyer, "Who buys: the name in a certificate, an account.").max(BuyerMax).identity(p.Buyer)
	f.must().uint("kwh", &p.KWh, "How much.")
	f.must().raw("meter_hash", p.Hash[:], "Of which reading.")
}

// needs is the role for it: a buyer settles for itself.
func (p *SettleParams) needs(c Caller) Role {
	if c.Name != "" && c.Name == p.Buyer {
		return Submitter
	}
	return Operator
}

// EnergyReceipt is a committed settlement.
type EnergyReceipt struct {
	ID        uint64
	Provider  ProviderID
	Buyer     string
	KWh       uint64
	Price     Amount
	Fee       Amount
	Slash     Amount
	Hash      MeterHash
	SettledAt uint64
	Epoch     Epoch
}

func (r *EnergyReceipt) fields(f *fields) {
	f.uint("id", &r.ID, "1, 2, 3 ... in the order of commits.")
	f.provider("provider_id", &r.Provider, "Who sold.")
	f.text("buyer", &r.Buyer, "Who bought.")
	f.uint("kwh", &r.KWh, "How much.")
	f.uint("price", (*uint64)(&r.Price), "For all of it.")
	f.uint("treasury_fee", (*uint64)(&r.Fee), "What the treasury got of it.")
	f.uint("slash", (*uint64)(&r.Slash), "What the treasury got of the stake.")
	f.raw("meter_hash", r.Hash[:], "Of which reading.")
	f.uint("settled_at", &r.SettledAt, "Unix seconds.")
	f.uint("epoch", (*uint64)(&r.Epoch), "The treasury's epoch then.")
}

// SettleResult answers settle.
type SettleResult struct {
	Receipt   EnergyReceipt
	Duplicate bool
}

func (r *SettleResult) fields(f *fields) {
	object(f, "receipt", &r.Receipt, "The settlement.")
	f.duplicate(&r.Duplicate)
}

// EnergyListParams are the parameters of receipts, credits, slashes and disputes.
type EnergyListParams struct {
	Options
	Provider ProviderID
	One      bool
	Status   string
	Page
}

func (p *EnergyListParams) fields(f *fields) {
	f.oneProvider(&p.Provider, &p.One)
	f.may("all").text("status", &p.Status, "Of credits outstanding, disputed, escalated, settled, expired or void; of disputes "+
		"open, resolved, escalated or slashed; of slashes their reason; of receipts none.").max(JurisdictionMax)
	p.Page.fields(f)
}

// ReceiptsResult answers receipts.
type ReceiptsResult struct {
	Receipts     []EnergyReceipt
	NextCursor   Cursor
	AppliedIndex uint64
}

func (r *ReceiptsResult) fields(f *fields) {
	objects(f, "receipts", &r.Receipts, 0, "Newest first.")
	f.nextCursor(&r.NextCursor)
	f.applied(&r.AppliedIndex)
}

// Credit is what one reading is worth.
type Credit struct {
	ID        uint64
	Provider  ProviderID
	Hash      MeterHash
	Minted    uint64
	Left      uint64
	Timestamp uint64
	MintedAt  uint64
	Epoch     Epoch
	Backfill  bool
	Status    string
}

func (c *Credit) fields(f *fields) {
	f.uint("id", &c.ID, "1, 2, 3 ... in the order of commits.")
	f.provider("provider_id", &c.Provider, "Whose it is.")
	f.raw("meter_hash", c.Hash[:], "Of which reading.")
	f.uint("minted_kwh", &c.Minted, "What the reading minted.")
	f.uint("left_kwh", &c.Left, "What is not settled of it.")
	f.uint("timestamp", &c.Timestamp, "The reading's; Unix seconds.")
	f.uint("minted_at", &c.MintedAt, "Unix seconds.")
	f.uint("epoch", (*uint64)(&c.Epoch), "The treasury's epoch then.")
	f.bool("backfill", &c.Backfill, "It was backfilled.")
	f.text("status", &c.Status, "").oneOf([]string{"outstanding", "disputed", "escalated", "settled", "expired", "void"})
}

// CreditsResult answers credits.
type CreditsResult struct {
	Credits      []Credit
	NextCursor   Cursor
	AppliedIndex uint64
}

func (r *CreditsResult) fields(f *fields) {
	objects(f, "credits", &r.Credits, 0, "Newest first.")
	f.nextCursor(&r.NextCursor)
	f.applied(&r.AppliedIndex)
}

// Slash is what was taken from a stake, or a failed settlement of amount 0.
type Slash struct {
	ID       uint64
	Provider ProviderID
	Reason   string
	Amount   Amount
	Hash     MeterHash
	Buyer    string
	At       uint64
	Epoch    Epoch
}

func (s *Slash) fields(f *fields) {
	f.uint("id", &s.ID, "1, 2, 3 ... in the order of commits.")
	f.provider("provider_id", &s.Provider, "Whose stake.")
	f.text("reason", &s.Reason, "").oneOf([]string{"quorum", "expiry", "conflict", "settlement"})
	f.uint("amount", (*uint64)(&s.Amount), "0 for a failed settlement.")
	f.raw("meter_hash", s.Hash[:], "Of which reading.")
	f.text("buyer", &s.Buyer, "Who was to buy.")
	f.uint("at", &s.At, "Unix seconds.")
	f.uint("epoch", (*uint64)(&s.Epoch), "The treasury's epoch then.")
}

// SlashesResult answers slashes.
type SlashesResult struct {
	Slashes      []Slash
	NextCursor   Cursor
	AppliedIndex uint64
}

func (r *SlashesResult) fields(f *fields) {
	objects(f, "slashes", &r.Slashes, 0, "Newest first.")
	f.nextCursor(&r.NextCursor)
	f.applied(&r.AppliedIndex)
}

// Dispute is a doubt about a reading.
type Dispute struct {
	ID         uint64
	Provider   ProviderID
	Hash       MeterHash
	Type       string
	Reason     string
	Reporter   string
	RaisedAt   uint64
	Status     string
	Resolver   string
	Note       string
	ResolvedAt uint64
}

// The types of disputes, and what may become of them.
var (
	DisputeTypes    = []string{"low_reading", "outlier_detected", "consensus_gap", "other"}
	DisputeOutcomes = []string{"resolved", "escalated", "slashed"}
)

func (d *Dispute) fields(f *fields) {
	f.uint("id", &d.ID, "1, 2, 3 ... in the order of commits.")
	f.provider("provider_id", &d.Provider, "Whose reading.")
	f.raw("meter_hash", d.Hash[:], "Of which reading.")
	f.text("type", &d.Type, "").oneOf(DisputeTypes)
	f.text("reason", &d.Reason, "Why it was raised.")
	f.text("reporter", &d.Reporter, "Who raised it; ~market by itself.")
	f.uint("raised_at", &d.RaisedAt, "Unix seconds.")
	f.text("status", &d.Status, "").oneOf(append([]string{"open"}, DisputeOutcomes...))
	f.text("resolver", &d.Resolver, "Who ended it.")
	f.text("note", &d.Note, "What the resolver says.")
	f.uint("resolved_at", &d.ResolvedAt, "Unix seconds; 0 while it is open.")
}

// DisputesResult answers disputes.
type DisputesResult struct {
	Disputes     []Dispute
	NextCursor   Cursor
	AppliedIndex uint64
}

func (r *DisputesResult) fields(f *fields) {
	objects(f, "disputes", &r.Disputes, 0, "Newest first.")
	f.nextCursor(&r.NextCursor)
	f.applied(&r.AppliedIndex)
}

// FlagDisputeParams are the parameters of flag_dispute.
type FlagDisputeParams struct {
	Options
	Hash     MeterHash
	Reason   string
	Reporter string
	Type     string
}

func (p *FlagDisputeParams) fields(f *fields) {
	f.must().raw("meter_hash", p.Hash[:], "The reading.")
	f.must().text("reason", &p.Reason, "Why; not blank.").max(DisputeTextMax)
	f.must().text("reporter", &p.Reporter, "Who says so.").max(OwnerMax).identity(p.Reporter)
	f.must().text("type", &p.Type, "").chosen(p.Type, DisputeTypes)
}

// FlagDisputeResult answers flag_dispute.
type FlagDisputeResult struct {
	Dispute   uint64
	Duplicate bool
}

func (r *FlagDisputeResult) fields(f *fields) {
	f.uint("dispute_id", &r.Dispute, "1, 2, 3 ... in the order of commits.")
	f.duplicate(&r.Duplicate)
}

// ResolveDisputeParams are the parameters of resolve_dispute.
type ResolveDisputeParams struct {
	Options
	Dispute  uint64
	Resolver string
	Note     string
	Outcome  string
}

func (p *ResolveDisputeParams) fields(f *fields) {
	f.must().uint("dispute_id", &p.Dispute, "The dispute.")
	f.must().text("resolver", &p.Resolver, "Who decides.").max(OwnerMax).identity(p.Resolver)
	f.may("none").text("note", &p.Note, "Why.").max(NoteMax)
	f.must().text("outcome", &p.Outcome, "Frees the credit, holds it on, or makes it void.").chosen(p.Outcome, DisputeOutcomes)
}

// ResolveDisputeResult answers resolve_dispute.
type ResolveDisputeResult struct {
	Dispute   uint64
	Status    string
	Duplicate bool
}

func (r *ResolveDisputeResult) fields(f *fields) {
	f.uint("dispute_id", &r.Dispute, "The dispute.")
	f.text("status", &r.Status, "What became of it.").oneOf(DisputeOutcomes)
	f.duplicate(&r.Duplicate)
}
