package command

import "maps"

const (
	massID     = "01JZ0000000000000000000006"
	massJSON   = `"incident_id":"` + massID + `","type":"incident_opened","severity":"critical","summary":"40 hosts of 2 customers are silent","opened_at":"RECENT","told_at":"RECENT","state":"open","scope":{"kind":"fleet"},"members":40`
	fullID     = "01JZ0000000000000000000007"
	fullJSON   = `{"incident_id":"` + fullID + `","customer_id":"acme","host_id":"acme-7f3a90c1","type":"storage_high","severity":"warning","summary":"local-zfs is 91 % full","opened_at":"RECENT","state":"acknowledged"}`
	memberJSON = `{"incident_id":"01JZ0000000000000000000008","customer_id":"acme","host_id":"acme-7f3a90c2","type":"host_down","severity":"critical","summary":"acme-7f3a90c2 is down","opened_at":"RECENT","state":"open","member_of":"` + massID + `"}`
)

func init() {
	maps.Copy(fakeAnswers, map[string]fakeAnswer{
		"PUT hosts/acme-7f3a90c1/site":             {204, ``},
		"PUT routes/" + routeID:                    {200, `{"route_id":"` + routeID + `","kind":"webhook","url":"https://new.example.com/…","events":[],"min_severity":"critical","secret":"whsec_bmV3","quiet_hours":{"from":"22:00","to":"07:00","time_zone":"UTC"},"max_per_hour":30,"escalate_to":"` + sentID + `","escalate_after_seconds":900}`},
		"GET deliveries/" + sentID:                 {200, `{"delivery_id":"` + sentID + `","route_id":"` + routeID + `","events":[` + eventJSON + `],"reason":"reminder","state":"dead","created_at":"RECENT","last_attempt_at":"RECENT","attempts":9,"last_status":503,"last_error":"no room"}`},
		"GET alarms":                               {200, `{"items":[{` + massJSON + `},` + fullJSON + `],"next_cursor":null}`},
		"GET alarms/" + massID:                     {200, `{` + massJSON + `,"acknowledged":{"by":"global key","reason":"provider called","at":"RECENT"},"member_alarms":{"items":[` + memberJSON + `],"next_cursor":"x"}}`},
		"POST alarms/" + massID + "/acknowledge":   {200, `{` + massJSON + `}`},
		"POST alarms/" + fullID + "/acknowledge":   {200, fullJSON},
		"DELETE alarms/" + massID + "/acknowledge": {204, ``},
	})
}
