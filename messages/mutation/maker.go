package mutation

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
)

// jsonWords are what a reader of JSON trips over.
var jsonWords = []string{`"`, `\`, `{`, `}`, `[`, `]`, `,`, `:`, `0`, `-`, `1`, `.5`, `e9`, `null`, `true`, `false`, `{}`, `[]`, `""`, ` `, "\n",
	`\ud800`, `\udc00`, `\u0061`, `\u0000`, `\n`, "\xc3", "\xff", "\x00", "\x1b", "é", "\u2028", "\ufeff", `-0`, `1e999`, `-1e-999`, `01`, `0.0`, `1E+2`,
	`18446744073709551615`, `18446744073709551616`, `9223372036854775808`, `-9223372036854775809`, `4294967296`, `65536`, `1.5`, `"x":1,`, `"1"`,
	`"1969-12-31T23:59:59.5+23:59"`, `"9999-12-31T23:59:60Z"`, `[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[`, `{"a":{"a":{"a":`}

const maxInput = 64 << 10 // bytes

// maker makes inputs of seeds.
type maker struct {
	seeds []document
	words []string
}

// document is a seed and, when it is JSON, where its parts are.
type document struct {
	text            []byte
	values, members []span
}

type span struct{ from, to int }

func newMaker(seeds [][]byte, words []string) maker {
	m := maker{words: append([]string{"", "\x00", "\xff", "0", "~"}, words...)}
	for _, s := range seeds {
		d := document{text: s}
		if json.Valid(s) {
			d.value(0)
		}
		m.seeds = append(m.seeds, d)
		if len(d.values) > 0 && len(m.words) < len(words)+len(jsonWords) {
			m.words = append(m.words, jsonWords...)
		}
	}
	return m
}

// value notes the parts of the value at i and returns its end.
func (d *document) value(i int) int {
	i = d.space(i)
	from := i
	switch d.text[i] {
	case '{', '[':
		object := d.text[i] == '{'
		for i = d.space(i + 1); d.text[i] != '}' && d.text[i] != ']'; i = d.space(i) {
			if d.text[i] == ',' {
				i++
				continue
			}
			if !object {
				i = d.value(i)
				continue
			}
			key := i
			i = d.value(d.space(d.quoted(i)) + 1)
			d.members = append(d.members, span{key, i})
		}
		i++
	case '"':
		i = d.quoted(i)
	default:
		for i < len(d.text) && !strings.ContainsRune(",]} \t\r\n", rune(d.text[i])) {
			i++
		}
	}
	d.values = append(d.values, span{from, i})
	return i
}

func (d *document) space(i int) int {
	for i < len(d.text) && strings.IndexByte(" \t\r\n", d.text[i]) >= 0 {
		i++
	}
	return i
}

func (d *document) quoted(i int) int {
	for i++; d.text[i] != '"'; i++ {
		if d.text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// worker makes inputs, each in the memory of the last.
type worker struct {
	*maker
	dice  rand.PCG
	r     *rand.Rand
	made  []byte
	spare []byte
}

func (m *maker) worker() *worker {
	w := &worker{maker: m}
	w.r = rand.New(&w.dice)
	return w
}

// input is the input of that number; it lives until the next.
func (w *worker) input(number uint64) []byte {
	w.dice.Seed(number, 0xfe1)
	d := &w.seeds[w.r.IntN(len(w.seeds))]
	w.made = append(w.made[:0], d.text...)
	places := 1 + w.r.IntN(3)
	if len(d.values) > 0 && w.r.IntN(4) > 0 {
		w.restructure(d)
		places = w.r.IntN(3)
	}
	for range places {
		w.damage()
	}
	if len(w.made) > maxInput {
		w.made = w.made[:maxInput]
	}
	return w.made
}

// replace puts text in the place of from…to.
func (w *worker) replace(from, to int, text ...[]byte) {
	w.spare = append(w.spare[:0], w.made[to:]...)
	w.made = w.made[:from]
	for _, s := range text {
		w.made = append(w.made, s...)
	}
	w.made = append(w.made, w.spare...)
}

func (w *worker) word() []byte { return []byte(w.words[w.r.IntN(len(w.words))]) }

func pick[T any](r *rand.Rand, all []T) T { return all[r.IntN(len(all))] }

// restructure changes a value or a member of a JSON document, which stays one
// more often than not.
func (w *worker) restructure(d *document) {
	v := pick(w.r, d.values)
	other := &w.seeds[w.r.IntN(len(w.seeds))]
	if len(other.values) == 0 {
		other = d
	}
	switch w.r.IntN(8) {
	case 0, 1:
		w.replace(v.from, v.to, w.word())
	case 2:
		o := pick(w.r, other.values)
		w.replace(v.from, v.to, other.text[o.from:o.to])
	case 3:
		deep := 1 + w.r.IntN(3)
		if w.r.IntN(8) == 0 {
			deep = 25 + w.r.IntN(12) // about the limit of 32
		}
		value := d.text[v.from:v.to]
		if w.r.IntN(2) == 0 {
			w.replace(v.from, v.to, []byte(strings.Repeat("[", deep)), value, []byte(strings.Repeat("]", deep)))
		} else {
			w.replace(v.from, v.to, []byte(strings.Repeat(`{"a":`, deep)), value, []byte(strings.Repeat("}", deep)))
		}
	case 4:
		if d.text[v.from] == '"' && v.to-v.from > 1 {
			at := v.from + 1 + w.r.IntN(v.to-v.from-1)
			w.replace(at, at, w.word())
		}
	default:
		w.remember(d, other)
	}
}

// remember removes a member, says it twice, or adds another's.
func (w *worker) remember(d, other *document) {
	if len(d.members) == 0 || len(other.members) == 0 {
		return
	}
	m := pick(w.r, d.members)
	switch w.r.IntN(3) {
	case 0:
		if i := d.space(m.to); d.text[i] == ',' {
			m.to = i + 1
		}
		w.replace(m.from, m.to)
	case 1:
		w.replace(m.from, m.from, d.text[m.from:m.to], []byte(","))
	case 2:
		o := pick(w.r, other.members)
		w.replace(m.from, m.from, other.text[o.from:o.to], []byte(","))
	}
}

// damage changes a few bytes in one place.
func (w *worker) damage() {
	n := len(w.made)
	i := w.r.IntN(n + 1)
	j := min(n, i+w.r.IntN(5))
	switch w.r.IntN(9) {
	case 0:
		w.replace(i, j)
	case 1:
		w.replace(i, i, w.word())
	case 2:
		w.replace(i, j, w.word())
	case 3: // a piece of another place
		other := w.seeds[w.r.IntN(len(w.seeds))].text
		k := w.r.IntN(len(other) + 1)
		w.replace(i, i, other[k:min(len(other), k+w.r.IntN(40))])
	case 4:
		if i < n {
			w.made[i] ^= 1 << w.r.IntN(8)
		}
	case 5:
		if i < n {
			w.made[i] = byte(w.r.IntN(256))
		}
	case 6:
		if w.r.IntN(4) == 0 {
			w.made = w.made[:i]
		}
	case 7: // said twice
		j = min(n, i+w.r.IntN(64))
		w.replace(j, j, append([]byte(nil), w.made[i:j]...))
	case 8: // the end of another
		if w.r.IntN(4) == 0 {
			other := w.seeds[w.r.IntN(len(w.seeds))].text
			w.made = append(w.made[:i], other[min(i, len(other)):]...)
		}
	}
}
