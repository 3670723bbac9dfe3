package actors

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"felhom.eu/messages"
)

// A route that is set anew is spoken to as it is set from then on, and keeps the incident
// that it has by itself: it ends when the far end answers again.
func TestRouteIsSetAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.route(testRoute, "acme")
		w.route("other", "")
		var up atomic.Bool
		w.sender.answer = func(r messages.RouteID) Answer {
			return Answer{OK: r == "other" || up.Load(), Status: 503, Text: "503"}
		}
		w.start()
		w.outage()
		w.sleep(time.Hour)
		changed := w.stored(testRoute)
		if changed.Incident == "" {
			t.Fatal("it is not failing")
		}
		changed.Incident, changed.URL, changed.Name = "", "https://new.example.com", "new" // as somebody knows it who looked before
		if err := w.hub.Order(t.Context(), PutRoute{changed}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r := w.stored(testRoute)
		if r.URL != changed.URL || r.Name != "new" || r.Incident == "" {
			t.Errorf("stored %+v", r)
		}
		up.Store(true)
		w.sleep(11 * time.Minute)
		for _, s := range w.sender.sent {
			if s.route == testRoute && s.ok && s.url != changed.URL {
				t.Errorf("sent to %q", s.url.Reveal())
			}
		}
		if r := w.stored(testRoute); r.Incident != "" || r.Name != "new" {
			t.Errorf("after it delivered again: %+v", r)
		}
		w.stop()
	})
}

func (w *scene) stored(id messages.RouteID) messages.Route {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	i := slices.IndexFunc(w.store.past.Routes, func(r messages.Route) bool { return r.ID == id })
	return w.store.past.Routes[i]
}

// No route escalates to one that is not there, to another owner's, or to itself by way of
// others; one that is escalated to is not removed.
func TestEscalationGoesSomewhere(t *testing.T) {
	routes := []messages.Route{{ID: "a", EscalateTo: "b"}, {ID: "b"}, {ID: "c", CustomerID: "acme"}, {ID: "d", CustomerID: "acme"}, {ID: "e", EscalateTo: "a"}, {ID: "f", EscalateTo: "gone"}}
	for _, c := range []struct {
		route messages.Route
		ok    bool
	}{
		{messages.Route{ID: "b"}, true},
		{messages.Route{ID: "b", EscalateTo: "b"}, false},
		{messages.Route{ID: "b", EscalateTo: "a"}, false},
		{messages.Route{ID: "b", EscalateTo: "e"}, false},
		{messages.Route{ID: "b", EscalateTo: "c"}, false},
		{messages.Route{ID: "b", EscalateTo: "gone"}, false},
		{messages.Route{ID: "b", EscalateTo: "f"}, true},
		{messages.Route{ID: "c", CustomerID: "acme", EscalateTo: "d"}, true},
		{messages.Route{ID: "c", CustomerID: "acme", EscalateTo: "b"}, false},
		{messages.Route{ID: "new", EscalateTo: "e"}, true},
	} {
		err := checkEscalation(routes, &c.route)
		if wrong := new(FieldProblem); (err == nil) != c.ok || err != nil && (!errors.As(err, &wrong) || wrong.Field != "escalate_to") {
			t.Errorf("%s to %s: %v", c.route.ID, c.route.EscalateTo, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.route(testRoute, "")
		w.start()
		first := messages.Route{ID: "first", EscalateTo: testRoute}
		for i, step := range []struct {
			order order
			want  error
		}{
			{AddRoute{first}, nil},
			{RemoveRoute{testRoute}, ErrInUse},
			{PutRoute{messages.Route{ID: "first"}}, nil},
			{RemoveRoute{testRoute}, nil},
			{PutRoute{first}, &FieldProblem{"escalate_to", "there is no such route"}},
			{AddRoute{messages.Route{ID: "second", EscalateTo: testRoute}}, &FieldProblem{"escalate_to", "there is no such route"}},
			{PutRoute{messages.Route{ID: "second"}}, ErrNotFound},
		} {
			err := w.hub.Order(t.Context(), step.order)
			if (err == nil) != (step.want == nil) || err != nil && err.Error() != step.want.Error() {
				t.Errorf("step %d: %v, want %v", i, err, step.want)
			}
		}
		w.stop()
	})
}
