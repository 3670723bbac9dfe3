package main

import (
	"fmt"
	"strconv"
	"strings"
)

// numbers is a list on the command line: "1000,2500".
type numbers []int

// String implements flag.Value.
func (n *numbers) String() string {
	if n == nil {
		return ""
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint([]int(*n)), " ", ","), "[]")
}

// Set implements flag.Value.
func (n *numbers) Set(s string) error {
	*n = nil
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) {
		v, err := strconv.Atoi(word)
		if err != nil || v < 1 || len(*n) > 0 && v <= (*n)[len(*n)-1] {
			return fmt.Errorf("%q is no rising list of whole numbers", s)
		}
		*n = append(*n, v)
	}
	return nil
}
