package wire

// PackJSON checks and packs, as every path to the packer does.
func PackJSON(b []byte) ([]byte, error) {
	if err := checkJSON(b); err != nil {
		return nil, err
	}
	packed, err := packJSON(b)
	if err != nil {
		return nil, err
	}
	return packed, nil
}

// AppendJSON is exported for its tests.
var AppendJSON = appendJSON
