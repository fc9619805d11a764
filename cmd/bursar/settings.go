package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/spf13/pflag"

	"github.com/the-block/bursar/cmd/internal/payfile"
)

// Where a setting's value comes from, the strongest first.
const (
	fromFlag    = "flag"
	fromEnv     = "environment"
	fromFile    = "file"
	fromDefault = "default"
)

const envPrefix = "BURSAR_"

// otherEnv are variables with our prefix that are no settings of a node.
var otherEnv = []string{addrEnv}

// settings are the flags of a command that can also stand in a TOML file and in the
// environment. One name three ways: epoch_interval, BURSAR_EPOCH_INTERVAL and
// --epoch-interval.
type settings struct {
	flags   *pflag.FlagSet
	origins map[string]string // by key
}

// loadSettings completes the parsed flags: what no flag set is taken from the
// environment, else from the file, else keeps its default. An unknown key or a value
// that does not fit is an error that names it. An empty variable is none, an empty
// file name is no file.
func loadSettings(flags *pflag.FlagSet, environ []string, file string) (*settings, error) {
	s := &settings{flags: flags, origins: make(map[string]string)}
	flags.VisitAll(func(flag *pflag.Flag) {
		s.origins[keyOf(flag.Name)] = fromDefault
		if flag.Changed {
			s.origins[keyOf(flag.Name)] = fromFlag
		}
	})
	if err := s.takeEnvironment(environ); err != nil {
		return nil, err
	}
	if file == "" {
		return s, nil
	}
	return s, s.takeFile(file)
}

func keyOf(flag string) string { return strings.ReplaceAll(flag, "-", "_") }
func flagOf(key string) string { return strings.ReplaceAll(key, "_", "-") }
func envOf(key string) string  { return envPrefix + strings.ToUpper(key) }

func (s *settings) takeEnvironment(environ []string) error {
	var errs []error
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) || value == "" || slices.Contains(otherEnv, name) {
			continue
		}
		key := strings.ToLower(strings.TrimPrefix(name, envPrefix))
		if name != envOf(key) || s.origins[key] == "" {
			errs = append(errs, fmt.Errorf("environment: %s is no setting; there are %s", name, s.known(envOf)))
			continue
		}
		if err := s.set(key, value, fromEnv); err != nil {
			errs = append(errs, fmt.Errorf("environment: %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func (s *settings) takeFile(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	if text, err = payfile.Text(text); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var values map[string]any
	if err := toml.Unmarshal(text, &values); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if s.origins[key] == "" {
			errs = append(errs, fmt.Errorf("%s: %s is no setting; there are %s", name, key, s.known(nil)))
			continue
		}
		value, err := scalar(values[key])
		if err == nil {
			err = s.set(key, value, fromFile)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %s: %w", name, key, err))
		}
	}
	return errors.Join(errs...)
}

// scalar writes a TOML value as the command line would have it: a list of strings with
// commas.
func scalar(value any) (string, error) {
	switch value := value.(type) {
	case string, int64, float64, bool:
		return fmt.Sprint(value), nil
	case []any:
		words := make([]string, len(value))
		for i, one := range value {
			word, ok := one.(string)
			if !ok {
				return "", errors.New("want a list of strings")
			}
			words[i] = word
		}
		return strings.Join(words, ","), nil
	default:
		return "", errors.New("want a string, a number, true, false or a list of strings, not a table or a date")
	}
}

// set gives a setting its value unless something stronger did.
func (s *settings) set(key, value, origin string) error {
	if s.origins[key] != fromDefault {
		return nil
	}
	if err := s.flags.Set(flagOf(key), value); err != nil {
		return valueError(err)
	}
	s.origins[key] = origin
	return nil
}

// known lists the keys, each written by form if it is not nil.
func (s *settings) known(form func(string) string) string {
	keys := slices.Sorted(maps.Keys(s.origins))
	if form != nil {
		for i, key := range keys {
			keys[i] = form(key)
		}
	}
	return strings.Join(keys, ", ")
}

// setting is one effective value.
type setting struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

// effective lists every setting with its value and where that came from, by key.
func (s *settings) effective() []setting {
	var list []setting
	s.flags.VisitAll(func(flag *pflag.Flag) {
		key := keyOf(flag.Name)
		value := flag.Value.String()
		if words, ok := flag.Value.(pflag.SliceValue); ok {
			value = strings.Join(words.GetSlice(), ",")
		}
		list = append(list, setting{Key: key, Value: value, Origin: s.origins[key]})
	})
	return list
}
