package energy

import (
	"encoding/binary"
	"fmt"

	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Tables of the Store that belong to the market.
const (
	// TableProviders holds a record per provider, under its id plus one.
	TableProviders persistence.Table = 'E'
	// TableMeters holds the number of the provider that has a meter, under its address.
	TableMeters persistence.Table = 'M'
	// TableCredits holds a credit per accepted reading.
	TableCredits persistence.Table = 'C'
	// TableReadings holds the number of a reading's credit, under its meter_hash.
	TableReadings persistence.Table = 'H'
	// TableReceipts, TableSlashes and TableDisputes hold what their names say.
	TableReceipts persistence.Table = 'R'
	TableSlashes  persistence.Table = 'S'
	TableDisputes persistence.Table = 'D'
	// TableMarket holds the market's settings and what was published last.
	TableMarket persistence.Table = 'G'
)

// TableName names a table of the market, for whoever shows rows; it is empty for any other.
func TableName(t persistence.Table) string {
	return map[persistence.Table]string{
		TableProviders: "provider", TableMeters: "meter", TableCredits: "credit", TableReadings: "reading",
		TableReceipts: "receipt", TableSlashes: "slash", TableDisputes: "dispute", TableMarket: "market",
	}[t]
}

// The rows of TableMarket.
var (
	// SettingsKey names the market's settings.
	SettingsKey  = persistence.NameKey(TableMarket, "settings")
	publishedKey = persistence.NameKey(TableMarket, "published")
)

// Tags of providers; credits have their hold for a tag, disputes their status, slashes
// their reason.
const (
	tagActive    byte = 1
	tagSuspended byte = 2
)

func providerKey(id messages.ProviderID) persistence.Key {
	return persistence.RecordKey(TableProviders, uint64(id)+1)
}

func meterKey(meter string) persistence.Key { return persistence.NameKey(TableMeters, meter) }

func creditKey(number uint64) persistence.Key { return persistence.RecordKey(TableCredits, number) }

func readingKey(hash messages.MeterHash) persistence.Key {
	return persistence.NameKey(TableReadings, string(hash[:]))
}

func disputeKey(number uint64) persistence.Key { return persistence.RecordKey(TableDisputes, number) }

// numberSlot lets the commit write the number of the k-th append into a row of 8 bytes.
func numberSlot(k int) []persistence.Slot { return []persistence.Slot{{Number: uint16(k)}} }

// columnProvider is what rows are filtered by without being read: whose they are.
const columnProvider = 0

// Columns says what the Store keeps in memory for each row of the market's lists.
func Columns() map[persistence.Table]persistence.Columns {
	column := func(provider func([]byte) (messages.ProviderID, error)) persistence.Columns {
		return persistence.Columns{Count: 1, Extract: func(_ byte, data []byte, into []uint64) {
			id, err := provider(data)
			if err != nil {
				id = 0 // the record itself will be found corrupt by whoever reads it
			}
			into[columnProvider] = uint64(id)
		}}
	}
	return map[persistence.Table]persistence.Columns{
		TableCredits: column(func(b []byte) (messages.ProviderID, error) {
			c, err := market.DecodeCredit(b)
			return c.Provider, err
		}),
		TableReceipts: column(func(b []byte) (messages.ProviderID, error) {
			r, err := market.DecodeReceipt(b)
			return r.Provider, err
		}),
		TableSlashes: column(func(b []byte) (messages.ProviderID, error) {
			s, err := market.DecodeSlash(b)
			return s.Provider, err
		}),
		TableDisputes: column(func(b []byte) (messages.ProviderID, error) {
			d, err := market.DecodeDispute(b)
			return d.Provider, err
		}),
	}
}

// The rows read through one look at the Store.

func readProvider(v *persistence.View, id messages.ProviderID) (p market.Provider, version uint64, ok bool, err error) {
	row, ok := v.Get(providerKey(id))
	if !ok {
		return p, 0, false, nil
	}
	if p, err = market.DecodeProvider(id, row.Data); err != nil {
		err = fmt.Errorf("provider %s: %w", id, err)
	}
	return p, row.Version, true, err
}

// stored is a credit as it lies in the Store.
type stored struct {
	market.Credit
	number  uint64
	version uint64
}

func readCredit(v *persistence.View, hash messages.MeterHash) (c *stored, err error) {
	row, ok := v.Get(readingKey(hash))
	if !ok {
		return nil, nil
	}
	if len(row.Data) != 8 {
		return nil, fmt.Errorf("reading %x: %w", hash, market.ErrRecord)
	}
	c = &stored{number: binary.BigEndian.Uint64(row.Data)}
	value, ok := v.Get(creditKey(c.number))
	if !ok {
		return nil, fmt.Errorf("reading %x: no credit %d", hash, c.number)
	}
	c.version = value.Version
	if c.Credit, err = market.DecodeCredit(value.Data); err != nil {
		return nil, fmt.Errorf("credit %d: %w", c.number, err)
	}
	return c, nil
}

// terms are what the market's rows say, and what must still be so at the commit.
type terms struct {
	settings  market.Settings
	same      persistence.Condition // the settings are
	published *market.Published     // nil before the first time
	since     persistence.Condition // what was published is
}

func readTerms(v *persistence.View) (t terms, err error) {
	t.settings = market.DefaultSettings()
	t.same, t.since = persistence.Absent(SettingsKey), persistence.Absent(publishedKey)
	if row, ok := v.Get(SettingsKey); ok {
		t.same = persistence.VersionIs(SettingsKey, row.Version)
		if t.settings, err = market.DecodeSettings(row.Data); err != nil {
			return t, err
		}
	}
	if row, ok := v.Get(publishedKey); ok {
		t.since = persistence.VersionIs(publishedKey, row.Version)
		p, err := market.DecodePublished(row.Data)
		if err != nil {
			return t, err
		}
		t.published = &p
	}
	return t, nil
}

func providerWrite(p *market.Provider) persistence.Write {
	tag := tagActive
	if p.Suspended {
		tag = tagSuspended
	}
	return persistence.Write{Key: providerKey(p.ID), Tag: tag, Value: market.AppendProvider(make([]byte, 0, 384), p)}
}

func creditWrite(c *stored) persistence.Write {
	return persistence.Write{Key: creditKey(c.number), Tag: creditTag(&c.Credit), Value: market.AppendCredit(nil, &c.Credit)}
}

// creditTag tells what holds a credit, without its being read.
func creditTag(c *market.Credit) byte { return max(byte(c.Hold), byte(market.HoldNone)) }

func (c *stored) unchanged() persistence.Condition {
	return persistence.VersionIs(creditKey(c.number), c.version)
}
