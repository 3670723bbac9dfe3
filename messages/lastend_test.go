package messages

import "testing"

// What an agent says of the end before is read exactly, and what a hub does not
// understand of it costs no report.
func TestLastEndIsReadOrNotKnown(t *testing.T) {
	for end, want := range map[string]LastEnd{
		`{"agent":"stopped"}`:                                  {Agent: AgentStopped},
		`{"machine":"kernel_crash","agent":"killed"}`:          {AgentKilled, MachinePanicked},
		`{"machine":"power_lo\u0073s","x":{"agent":"killed"}}`: {Machine: MachineLostPower},
		`{"agent":"abducted","machine":"unclean"}`:             {Machine: MachineUnclean},
		`{"agent":7,"machine":"reboot"}`:                       {Machine: MachineRebooted},
		`{"agent":null,"machine":["shutdown"]}`:                {},
		`{"Agent":"killed"}`:                                   {},
		`{}`:                                                   {},
		`null`:                                                 {},
		`"killed"`:                                             {},
		`[{"agent":"killed"}]`:                                 {},
	} {
		body := []byte(report(`"last_end":` + end))
		var s Summary
		if err := Scan(body, &s); err != nil {
			t.Errorf("%s: %v", end, err)
		}
		if got := (LastEnd{s.AgentEnd, s.MachineEnd}); got != want {
			t.Errorf("%s: got %+v, want %+v", end, got, want)
		}
		agree(t, body)
	}
}
