package api

import (
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

// The lists that have cursors; a cursor of one is no cursor of another.
const (
	customerList   = 'c'
	hostList       = 'h'
	eventList      = 'e'
	routeList      = 'r'
	deliveryList   = 'd'
	reportList     = 'p'
	protectionList = 'g'
	tokenList      = 't'
	controllerList = 'o'
	deadlineList   = 'u'
	silenceList    = 's'
	alarmList      = 'a'
	memberList     = 'm'
	userList       = 'w'
	sessionList    = 'n'
	auditList      = 'l'
	latestList     = 'v' // events, newest first
)

var errBadCursor = &fieldError{"cursor", "not one that this list gave out"}

// A cursor is opaque to callers: base64url of the list's letter and the last
// item's id, or where the next report lies.
func makeCursor(list byte, last string) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{list}, last...))
}

func readCursor(list byte, cursor string) (string, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) < 2 || b[0] != list || strings.ContainsAny(cursor, "\r\n") { // base64 skips line ends
		return "", errBadCursor
	}
	return string(b[1:]), nil
}

// after is the id that a page starts behind; the zero id when there is no cursor.
func after[T ~string](q query, list byte, parse func(string) (T, error)) (T, error) {
	if q.cursor == "" {
		return "", nil
	}
	last, err := readCursor(list, q.cursor)
	if err != nil {
		return "", err
	}
	id, err := parse(last)
	if err != nil {
		return "", errBadCursor
	}
	return id, nil
}

func makeReportCursor(r messages.ReportRef) string {
	var b [16]byte
	binary.BigEndian.PutUint32(b[:], r.Day)
	binary.BigEndian.PutUint64(b[4:], r.Batch)
	binary.BigEndian.PutUint32(b[12:], r.Entry)
	return makeCursor(reportList, string(b[:]))
}

func readReportCursor(cursor string) (r messages.ReportRef, err error) {
	if cursor == "" {
		return r, nil
	}
	b, err := readCursor(reportList, cursor)
	if err != nil || len(b) != 16 {
		return r, errBadCursor
	}
	return messages.ReportRef{
		Day:   binary.BigEndian.Uint32([]byte(b)),
		Batch: binary.BigEndian.Uint64([]byte(b[4:])),
		Entry: binary.BigEndian.Uint32([]byte(b[12:])),
	}, nil
}

// page is what every list answers.
type page[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next_cursor"` // null on the last page
}

// answerPage shows the rows of a list that was asked for one more than limit:
// the one too many says that there is a next page.
func answerPage[R, V any](ctx *fasthttp.RequestCtx, rows []R, limit int, list byte, id func(R) string, view func(R) V) error {
	var next *string
	if len(rows) > limit {
		rows = rows[:limit]
		c := makeCursor(list, id(rows[limit-1]))
		next = &c
	}
	items := make([]V, len(rows))
	for i, r := range rows {
		items[i] = view(r)
	}
	return answerJSON(ctx, 200, page[V]{items, next})
}

func same[T any](v T) T { return v }
