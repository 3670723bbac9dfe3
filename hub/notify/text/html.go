package text

import (
	_ "embed"
	"html/template"
	"strings"

	"felhom.eu/messages"
)

//go:embed mail.html
var mailSource string

var mail = template.Must(template.New("mail").Parse(mailSource))

// colours are those of a message's bar: what is wrong, by severity, and what is over.
var colours = map[messages.Severity]string{
	messages.SeverityInfo: "#3b6ea8", messages.SeverityWarning: "#b7791f", messages.SeverityCritical: "#c53030",
}

const colourOver = "#2f855a"

func colour(s messages.Severity, over bool) string {
	if over {
		return colourOver
	}
	return colours[s]
}

// Colour is the colour of an item's bar, as HTML writes it.
func (it Item) Colour() string { return colour(it.Severity, it.Over) }

// Colour is the colour of the message's bar.
func (m Message) Colour() string { return colour(m.Severity, m.Over) }

// HTML is the message as the body of a mail: light and dark, without a request to anywhere.
func (m *Message) HTML() string {
	var b strings.Builder
	if err := mail.Execute(&b, m); err != nil { // the template is ours, and all values are strings
		return ""
	}
	return b.String()
}
