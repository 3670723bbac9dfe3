// Package mutation holds readers against rubbish that looks like what they
// read. It is for tests alone.
//
// A Target is one reader: good inputs to begin with, words that mean something
// to it, and a check that says what must hold for every input whatever. Fuzz
// gives it to Go's fuzzer, which is led by coverage and slow; Run makes inputs
// by chance, of which it manages some hundred thousand a second. The two find
// different mistakes and share the check.
//
// An input of Run is made of its number alone: a test that fails names the
// number, which makes the same input again, and keeps the input itself where
// Go's fuzzer keeps what it found, so that every later test begins with it.
package mutation
