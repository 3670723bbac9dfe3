package messages

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// scanner reads one JSON document from front to back, once. Its methods expect
// to stand on the first byte of what they read and leave it behind them. The
// first problem is kept in err and moves the scanner to the end of the document,
// where every method finds nothing and every loop ends.
//
// The grammar is RFC 8259 and what I-JSON (RFC 7493) adds to it: valid UTF-8, no
// lone surrogates in escapes, no key twice in an object.
type scanner struct {
	body  []byte
	pos   int
	depth int
	err   *InvalidError

	// Where it stands, for errors: path[0][index].path[1].path[2].
	path  [3]string
	level int // of path
	index int // of the array at path[0]; -1 outside

	keys    []uint64 // of open objects: hash of an unknown key, and its offset
	vmids   []uint64 // of the guests: vmid, and its index
	scratch []byte   // the last text that had escapes
	facts   hash     // Summary.FactsHash so far
}

// maxSpare bounds what a scanner keeps from one document to the next.
const maxSpare = 4096

// start readies the scanner for a document.
func (p *scanner) start(body []byte) {
	*p = scanner{body: body, level: -1, index: -1, keys: p.keys[:0], vmids: p.vmids[:0], scratch: p.scratch[:0]}
}

// finish checks that nothing follows the document, and lets go of it.
func (p *scanner) finish() error {
	if p.err == nil && p.space() != 0 || p.pos < len(p.body) {
		p.unexpected()
	}
	err := p.err
	p.start(nil)
	if cap(p.keys)+cap(p.vmids)+cap(p.scratch) > maxSpare {
		*p = scanner{}
	}
	if err == nil {
		return nil
	}
	return err
}

// fail keeps the first problem and ends the scan.
func (p *scanner) fail(problem string) {
	if p.err == nil {
		p.err = &InvalidError{Field: p.where(), Problem: problem}
	}
	p.pos = len(p.body)
}

// malformed is fail for what is not JSON: it names the byte, not the field.
func (p *scanner) malformed(at int, problem string) {
	if p.err == nil {
		p.err = &InvalidError{Problem: fmt.Sprintf("byte %d: %s", at, problem)}
	}
	p.pos = len(p.body)
}

// unexpected is malformed for the byte under the scanner.
func (p *scanner) unexpected() {
	if p.pos >= len(p.body) {
		p.malformed(len(p.body), "the document ends too early")
		return
	}
	p.malformed(p.pos, fmt.Sprintf("unexpected %q", p.body[p.pos]))
}

// mistyped fails because the value under the scanner is not of type want.
func (p *scanner) mistyped(want string) {
	if c := p.peek(); c == 0 || strings.IndexByte(`"{[-0123456789tfn`, c) < 0 {
		p.unexpected()
		return
	}
	p.fail("want " + want)
}

// where is the path of the field that the scanner is in.
func (p *scanner) where() string {
	var b strings.Builder
	for i, name := range p.path[:p.level+1] {
		if name == "" {
			break
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(echo(name))
		if i == 0 && p.index >= 0 {
			b.WriteString("[" + strconv.Itoa(p.index) + "]")
		}
	}
	return b.String()
}

// peek is the byte under the scanner, 0 at the end.
func (p *scanner) peek() byte {
	if p.pos < len(p.body) {
		return p.body[p.pos]
	}
	return 0
}

// space skips white space and is the byte after it, 0 at the end.
func (p *scanner) space() byte {
	if p.pos < len(p.body) && p.body[p.pos] > ' ' { // as nearly always
		return p.body[p.pos]
	}
	return p.spaces()
}

func (p *scanner) spaces() byte {
	for p.pos < len(p.body) {
		c := p.body[p.pos]
		if c > ' ' || c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c
		}
		p.pos++
	}
	return 0
}

// A shape is the known fields of an object, in the order in which agents send them.
type shape struct {
	names []string
	after []string // each as it stands behind another member: with comma, quotes and colon
}

func shapeOf(names []string) *shape {
	s := &shape{names: names}
	for _, name := range names {
		s.after = append(s.after, `,"`+name+`":`)
	}
	return s
}

// find is the number of a field, -1 when it is unknown.
func (s *shape) find(key []byte) int {
	for i, name := range s.names {
		if string(key) == name {
			return i
		}
	}
	return -1
}

// object is an object being read.
type object struct {
	shape *shape
	field int    // that next stopped at
	guess int    // what field comes next, probably
	seen  uint32 // a bit for each known field
	keys  int    // where its unknown keys begin in scanner.keys
	inner bool   // past the first member
}

// object opens an object whose known fields are s.
func (p *scanner) object(s *shape) object {
	p.open('{', "an object")
	p.level++
	return object{shape: s, keys: len(p.keys)}
}

// next goes to the value of the next known field and tells which in o.field. It
// skips the unknown ones. It is false after the last.
func (p *scanner) next(o *object) bool {
	if p.expected(o) {
		return true
	}
	for p.more(o.inner, '}') {
		o.inner = true
		if !p.field(o) {
			continue
		}
		p.path[p.level] = o.shape.names[o.field]
		o.guess = o.field + 1
		bit := uint32(1) << o.field
		if o.seen&bit != 0 {
			p.fail("given twice")
			return false
		}
		o.seen |= bit
		return true
	}
	p.forget(o.keys)
	p.level--
	return false
}

// expected goes to the next field if it is the one that agents send next, written
// as they write it: without white space. It is next for nearly every field, and
// one comparison.
func (p *scanner) expected(o *object) bool {
	if o.guess >= len(o.shape.after) {
		return false
	}
	want := o.shape.after[o.guess]
	if !o.inner {
		want = want[1:] // no comma
	}
	rest := p.body[p.pos:]
	bit := uint32(1) << o.guess
	if len(rest) <= len(want) || string(rest[:len(want)]) != want || rest[len(want)] <= ' ' || o.seen&bit != 0 {
		return false
	}
	p.pos += len(want)
	p.path[p.level] = o.shape.names[o.guess]
	o.field = o.guess
	o.guess++
	o.seen |= bit
	o.inner = true
	return true
}

// field reads a key and finds o.field. It skips an unknown one with its value, and
// is false.
func (p *scanner) field(o *object) bool {
	if o.guess < len(o.shape.names) && p.isKey(o.shape.names[o.guess]) {
		o.field = o.guess
		return true
	}
	p.path[p.level] = ""
	at := p.pos
	raw, key := p.key()
	if o.field = o.shape.find(key); o.field >= 0 {
		return true
	}
	p.path[p.level] = view(raw)
	p.note(o.keys, at, key)
	p.skip()
	return false
}

// isKey reads a key and the colon if the key is name, written plainly.
func (p *scanner) isKey(name string) bool {
	b := p.body[p.pos:]
	n := len(name) + 2
	if len(b) <= n || b[0] != '"' || b[n-1] != '"' || string(b[1:n-1]) != name {
		return false
	}
	p.pos += n
	p.colon()
	return true
}

// open steps into an array or object; false when it is something else.
func (p *scanner) open(bracket byte, want string) bool {
	switch {
	case p.peek() != bracket:
		p.mistyped(want)
		return false
	case p.depth == MaxDepth:
		p.fail(fmt.Sprintf("byte %d: nested deeper than %d", p.pos, MaxDepth))
		return false
	}
	p.depth++
	p.pos++
	return true
}

// more stands before the next element or member, or steps out and is false.
// inner says that there was one before.
func (p *scanner) more(inner bool, bracket byte) bool {
	c := p.space()
	switch {
	case c == bracket:
		p.pos++
		p.depth--
		return false
	case !inner:
		return p.err == nil
	case c == ',':
		p.pos++
		p.space()
		return true
	}
	p.unexpected()
	return false
}

// key reads a member's key and the colon: as it stands there, and unescaped.
func (p *scanner) key() (raw, text []byte) {
	if p.peek() != '"' {
		p.unexpected()
		return nil, nil
	}
	raw, plain := p.str()
	text = p.unescaped(raw, plain)
	p.colon()
	return raw, text
}

// colon stands before the value behind a colon.
func (p *scanner) colon() {
	if p.space() != ':' {
		p.unexpected()
		return
	}
	p.pos++
	p.space()
}

// skip reads a value of any type.
func (p *scanner) skip() {
	switch c := p.peek(); c {
	case '"':
		p.str()
	case '{':
		p.skipObject()
	case '[':
		p.skipArray()
	case 't':
		p.literal("true")
	case 'f':
		p.literal("false")
	case 'n':
		p.literal("null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		p.number()
	default:
		p.unexpected()
	}
}

func (p *scanner) skipObject() {
	if !p.open('{', "an object") {
		return
	}
	base := len(p.keys)
	for inner := false; p.more(inner, '}'); inner = true {
		at := p.pos
		_, key := p.key()
		p.note(base, at, key)
		p.skip()
	}
	p.forget(base)
}

func (p *scanner) skipArray() {
	if !p.open('[', "an array") {
		return
	}
	for inner := false; p.more(inner, ']'); inner = true {
		p.skip()
	}
}

func (p *scanner) literal(word string) {
	for i := range len(word) {
		if p.peek() != word[i] {
			p.unexpected()
			return
		}
		p.pos++
	}
}

// fewKeys is how many unknown keys of an object are compared one with another;
// those of a larger object are sorted at its end, so that hostile ones cost n log n.
const fewKeys = 16

// keySeed keeps the world from choosing keys with equal hashes.
var keySeed = maphash.MakeSeed()

// note remembers an unknown key, which begins at a quote at offset at, of the
// object whose keys begin at base. It fails if the object has it already.
func (p *scanner) note(base, at int, key []byte) {
	if p.err != nil {
		return
	}
	entry := maphash.Bytes(keySeed, key)<<32 | uint64(at)
	if len(p.keys)-base < fewKeys {
		for _, e := range p.keys[base:] {
			if e>>32 == entry>>32 {
				p.compare(e, entry)
			}
		}
	}
	p.keys = append(p.keys, entry)
}

// forget drops the keys from base on: their object has ended.
func (p *scanner) forget(base int) {
	keys := p.keys[base:]
	p.keys = p.keys[:base]
	if len(keys) <= fewKeys || p.err != nil {
		return
	}
	slices.Sort(keys)
	for i := range keys {
		for j := i + 1; j < len(keys) && keys[j]>>32 == keys[i]>>32; j++ {
			p.compare(keys[i], keys[j])
		}
	}
}

// compare fails if two noted keys with one hash are one key.
func (p *scanner) compare(a, b uint64) {
	at := func(offset uint32) []byte {
		q := scanner{body: p.body, pos: int(offset)}
		return q.text()
	}
	key := at(uint32(a))
	if string(key) == string(at(uint32(b))) {
		p.fail(fmt.Sprintf("byte %d: key %s given twice", uint32(b), echo(string(key))))
	}
}

// The classes of bytes in a string.
const (
	inText  = iota
	inUTF8  // of a character beyond ASCII
	special // quote, backslash, control character
)

var classes = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c < ' ' || c == '"' || c == '\\':
			t[c] = special
		case c >= utf8.RuneSelf:
			t[c] = inUTF8
		}
	}
	return t
}()

// str reads a string and returns what is between the quotes. plain says that
// there are no escapes in it.
func (p *scanner) str() (raw []byte, plain bool) {
	body, i := p.body, p.pos+1
	start := i
	var seen uint8 // the classes, or'ed
	plain = true
	for i < len(body) {
		class := classes[body[i]]
		if class != special {
			seen |= class
			i++
			continue
		}
		switch c := body[i]; {
		case c == '"':
			p.pos = i + 1
			raw = body[start:i]
			if seen != inText && !utf8.Valid(raw) {
				p.fail(fmt.Sprintf("byte %d: invalid UTF-8", start))
			}
			return raw, plain
		case c != '\\':
			p.malformed(i, "raw control character in a string")
			return nil, true
		}
		plain = false
		_, n := escape(body[i:])
		switch n {
		case 0:
			p.malformed(i, "malformed escape")
			return nil, true
		case loneSurrogate:
			p.fail(fmt.Sprintf("byte %d: half a surrogate pair", i))
			return nil, true
		}
		i += n
	}
	p.pos = len(body)
	p.unexpected()
	return nil, true
}

const loneSurrogate = -1

// escape reads the escape that b begins with: its character and its length. The
// length is 0 when it is malformed, loneSurrogate when it is half a character.
func escape(b []byte) (r rune, n int) {
	if len(b) < 2 {
		return 0, 0
	}
	const letters, meaning = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if i := strings.IndexByte(letters, b[1]); i >= 0 {
		return rune(meaning[i]), 2
	}
	r = hex4(b)
	switch {
	case r < 0:
		return 0, 0
	case !utf16.IsSurrogate(r):
		return r, 6
	}
	if r = utf16.DecodeRune(r, hex4(b[6:])); r == utf8.RuneError {
		return 0, loneSurrogate
	}
	return r, 12
}

// hex4 is the code of the \u and four hex digits that b begins with, -1 when it does not.
func hex4(b []byte) (r rune) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// text reads a string. The bytes are good until the next text with escapes.
func (p *scanner) text() []byte {
	if p.peek() != '"' {
		p.mistyped("a string")
		return nil
	}
	return p.unescaped(p.str())
}

// unescaped is the text of a checked raw string.
func (p *scanner) unescaped(raw []byte, plain bool) []byte {
	if plain {
		return raw
	}
	text := slices.Grow(p.scratch[:0], len(raw)) // an escape is longer than its character
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			text = append(text, raw[i])
			i++
			continue
		}
		r, n := escape(raw[i:])
		text = utf8.AppendRune(text, r)
		i += n
	}
	p.scratch = text
	return text
}

// number reads a number and returns it as it stands there.
func (p *scanner) number() []byte {
	body, start := p.body, p.pos
	i := start
	if p.peek() == '-' {
		i++
	}
	whole := i
	i = digits(body, i)
	bad := i == whole || body[whole] == '0' && i > whole+1
	if !bad && i < len(body) && body[i] == '.' {
		fraction := i + 1
		i = digits(body, fraction)
		bad = i == fraction
	}
	if !bad && i < len(body) && body[i]|0x20 == 'e' {
		i++
		if i < len(body) && (body[i] == '+' || body[i] == '-') {
			i++
		}
		exponent := i
		i = digits(body, exponent)
		bad = i == exponent
	}
	if bad {
		p.malformed(start, "malformed number")
		return nil
	}
	p.pos = i
	return body[start:i]
}

// digits is the index after the digits that begin at i.
func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' < 10 {
		i++
	}
	return i
}

func isNumber(c byte) bool { return c == '-' || c-'0' < 10 }

// uint reads a whole number, 0 or more, written without fraction, exponent or sign.
func (p *scanner) uint() uint64 {
	const want = "a whole number from 0 to 18446744073709551615"
	if !isNumber(p.peek()) {
		p.mistyped(want)
		return 0
	}
	if v, ok := p.shortUint(); ok {
		return v
	}
	raw := p.number()
	if p.err != nil {
		return 0
	}
	if len(raw) > 19 { // may overflow
		v, err := strconv.ParseUint(view(raw), 10, 64)
		if err != nil {
			p.fail("want " + want)
		}
		return v
	}
	var v uint64
	for _, c := range raw {
		if c -= '0'; c > 9 {
			p.fail("want " + want)
			return 0
		}
		v = v*10 + uint64(c)
	}
	return v
}

// maxExact is how many digits a whole number may have that a float64 holds exactly.
const maxExact = 15

// shortUint reads a whole number of few digits that is written plainly; what is
// not, it leaves to number.
func (p *scanner) shortUint() (v uint64, ok bool) {
	v, n := decimal(p.body, p.pos)
	end := p.pos + n
	if n == 0 || n > maxExact || n > 1 && p.body[p.pos] == '0' || end == len(p.body) || inNumber(p.body[end]) {
		return 0, false
	}
	p.pos = end
	return v, true
}

// shortFloat reads a number of few digits without an exponent. Both parts of the
// quotient are exact, so that it is the float64 next to what is written, as
// strconv's.
func (p *scanner) shortFloat() (float64, bool) {
	whole, n := decimal(p.body, p.pos)
	end := p.pos + n
	if n == 0 || n > maxExact || n > 1 && p.body[p.pos] == '0' || end == len(p.body) {
		return 0, false
	}
	if p.body[end] != '.' {
		if inNumber(p.body[end]) {
			return 0, false
		}
		p.pos = end
		return float64(whole), true
	}
	fraction, f := decimal(p.body, end+1)
	end += 1 + f
	if f == 0 || n+f > maxExact || end == len(p.body) || inNumber(p.body[end]) {
		return 0, false
	}
	p.pos = end
	return float64(whole*powers[f]+fraction) / float64(powers[f]), true
}

// powers are those of ten.
var powers = func() (t [maxExact + 1]uint64) {
	t[0] = 1
	for i := 1; i < len(t); i++ {
		t[i] = 10 * t[i-1]
	}
	return t
}()

// decimal is the number that the digits at i are, good for up to 19 of them, and
// how many there are.
func decimal(b []byte, i int) (v uint64, n int) {
	for _, c := range b[i:] {
		if c -= '0'; c > 9 {
			break
		}
		v = v*10 + uint64(c)
		n++
	}
	return v, n
}

// inNumber reports whether a number goes on with c.
func inNumber(c byte) bool { return c == '.' || c|0x20 == 'e' }

// float reads a number that a float64 can hold.
func (p *scanner) float() float64 {
	const want = "a number below 1.8e308"
	if !isNumber(p.peek()) {
		p.mistyped(want)
		return 0
	}
	if v, ok := p.shortFloat(); ok {
		return v
	}
	raw := p.number()
	if p.err != nil {
		return 0
	}
	v, err := strconv.ParseFloat(view(raw), 64)
	if err != nil {
		p.fail("want " + want)
	}
	return v
}

// view is b as a string, without a copy: it lives and changes with b.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
