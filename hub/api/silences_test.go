package api

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"felhom.eu/messages"
)

// fakeSilences remembers silences in memory.
type fakeSilences struct{ silences []messages.Silence }

func (f *fakeSilences) AddSilence(_ context.Context, s messages.Silence) (SilenceView, error) {
	s.ID = messages.SilenceID(ulid(len(f.silences) + 1))
	f.silences = append(f.silences, s)
	return ViewSilence(s, time.Now()), nil
}

func (f *fakeSilences) Silences(context.Context) (views []SilenceView, err error) {
	for _, s := range slices.Backward(f.silences) {
		views = append(views, ViewSilence(s, time.Now()))
	}
	return views, nil
}

func (f *fakeSilences) EndSilence(_ context.Context, id messages.SilenceID) error {
	i := slices.IndexFunc(f.silences, func(s messages.Silence) bool { return s.ID == id })
	if i < 0 {
		return ErrNotFound
	}
	f.silences = slices.Delete(f.silences, i, i+1)
	return nil
}

// A silence is made with who made it, listed by where it stands, page by page, and ended.
func TestSilences(t *testing.T) {
	h := newHub(t)
	now := time.Now().UTC().Truncate(time.Second)
	for _, span := range [][2]time.Duration{{-2, -1}, {-1, 1}, {1, 2}, {-1, 2}} {
		body := `{"scope":{"kind":"host","id":"` + hostID + `"},"reason":"new disks","starts_at":"` + now.Add(span[0]*time.Hour).Format(time.RFC3339) +
			`","ends_at":"` + now.Add(span[1]*time.Hour).Format(time.RFC3339) + `"}`
		var made SilenceView
		h.do(t, "POST", admin+"silences", globalKey, body).into(t, 201, &made)
		if made.CreatedBy != "global key" || made.Scope != (messages.Scope{Kind: messages.ScopeHost, ID: hostID}) || !made.EndsAt.Equal(now.Add(span[1]*time.Hour)) {
			t.Errorf("made %+v", made)
		}
	}
	for state, want := range map[string]string{"": "1 2 3 4", "active": "2 4", "upcoming": "3", "past": "1"} {
		var seen []string
		for cursor := ""; ; {
			var p page[SilenceView]
			path := admin + "silences?limit=1&cursor=" + cursor
			if state != "" {
				path += "&state=" + state
			}
			h.do(t, "GET", path, globalKey, "").into(t, 200, &p)
			for _, s := range p.Items {
				seen = append(seen, strings.TrimLeft(string(s.ID[3:]), "0"))
			}
			if p.Next == nil {
				break
			}
			cursor = *p.Next
		}
		if got := strings.Join(seen, " "); got != want {
			t.Errorf("%q: got %s, want %s", state, got, want)
		}
	}
	h.do(t, "DELETE", admin+"silences/"+ulid(1), globalKey, "").into(t, 204, nil)
	for path, want := range map[string]int{"silences/" + ulid(1): 404, "silences/x": 404} {
		if r := h.do(t, "DELETE", admin+path, globalKey, ""); r.status != want {
			t.Errorf("%s: %d", path, r.status)
		}
	}
	for body, says := range map[string]string{
		`{"scope":{"kind":"fleet"}}`:                                                 "reason",
		`{"scope":{"kind":"fleet"},"reason":"a\u202eb"}`:                             "reason",
		`{"scope":{"kind":"fleet"},"reason":"x","ends_at":"tomorrow"}`:               "ends_at: want an instant",
		`{"scope":{"kind":"fleet"},"reason":"x","starts_at":"1950-01-01T00:00:00Z"}`: "starts_at",
		`{"scope":"fleet","reason":"x"}`:                                             "scope",
		`{"scope":{"kind":"fleet"},"reason":"x","until":"x"}`:                        "until: unknown field",
	} {
		if r := h.do(t, "POST", admin+"silences", globalKey, body); r.status != 400 || !strings.Contains(r.body, says) {
			t.Errorf("%s: %d %s, want %q", body, r.status, r.body, says)
		}
	}
	if r := h.do(t, "GET", admin+"silences?state=on", globalKey, ""); r.status != 400 {
		t.Errorf("a state that is none: %d", r.status)
	}
}
