package pvetest

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
)

//go:embed testdata/*.json
var files embed.FS

// Case is one recorded answer. testdata/README.md says where they come from.
type Case struct {
	File    string `json:"-"` // without .json
	Name    string `json:"name"`
	PVE     string `json:"pve"`
	Request struct {
		Token string `json:"token"`
		Path  string `json:"path"`
	} `json:"request"`
	Response struct {
		Status   int             `json:"status"`
		Reason   string          `json:"reason"`
		Body     json.RawMessage `json:"body"`      // nil when BodyText is the body
		BodyText string          `json:"body_text"` // what is not JSON
	} `json:"response"`
}

// Data is the body's data, in the recorded bytes; nil without one.
func (c *Case) Data() json.RawMessage {
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(c.Response.Body, &envelope) != nil {
		return nil
	}
	return envelope.Data
}

// Cases are all recorded answers in the order of their files. They are shared:
// not for changing.
func Cases() []Case { return cases() }

var cases = sync.OnceValue(readCases)

func readCases() []Case {
	names, err := fs.Glob(files, "testdata/*.json")
	if err != nil {
		panic(err)
	}
	var all []Case
	for _, name := range names {
		b, err := files.ReadFile(name)
		if err != nil {
			panic(err)
		}
		var f struct {
			Cases []Case `json:"cases"`
		}
		if err := json.Unmarshal(b, &f); err != nil {
			panic(fmt.Sprintf("%s: %v", name, err))
		}
		for _, c := range f.Cases {
			c.File = strings.TrimSuffix(path.Base(name), ".json")
			all = append(all, c)
		}
	}
	return all
}

// Find is the recorded answer of that file and name; it panics without one.
func Find(file, name string) Case {
	all := Cases()
	i := slices.IndexFunc(all, func(c Case) bool { return c.File == file && c.Name == name })
	if i < 0 {
		panic("no fixture " + file + "/" + name)
	}
	return all[i]
}

// Object is a JSON object. Its numbers are json.Number: they may be beyond
// what a float64 holds.
type Object = map[string]any

func object(file, name string) Object { return decode[Object](Find(file, name)) }

func objects(file, name string) []Object { return decode[[]Object](Find(file, name)) }

func decode[T any](c Case) (v T) {
	d := json.NewDecoder(bytes.NewReader(c.Data()))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		panic(fmt.Sprintf("fixture %s/%s: %v", c.File, c.Name, err))
	}
	return v
}

// encode writes v as Perl does: the keys of an object in random order.
func encode(v any) []byte {
	switch v := v.(type) {
	case Object:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		return join('{', '}', len(keys), func(i int) []byte {
			return append(append(encode(keys[i]), ':'), encode(v[keys[i]])...)
		})
	case lines:
		return join('[', ']', len(v), func(i int) []byte { return encode(v[i]) })
	case []Object:
		return join('[', ']', len(v), func(i int) []byte { return encode(v[i]) })
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func join(open, end byte, n int, part func(int) []byte) []byte {
	b := []byte{open}
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, part(i)...)
	}
	return append(b, end)
}
