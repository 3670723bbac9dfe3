package messages

// Code is the machine's word for an error on the wire.
type Code string

// The codes, and what each asks of the caller.
const (
	CodeUnauthorized  Code = "unauthorized"   // 401: no, malformed or unknown key; mend the configuration
	CodeForbidden     Code = "forbidden"      // 403: the key is valid, but not for this
	CodeHostMismatch  Code = "host_mismatch"  // 403: the body names another host than the key
	CodeUnknownHost   Code = "unknown_host"   // 400: the global key does not create hosts; mint first
	CodeBodyTooLarge  Code = "body_too_large" // 400: over the limit, compressed or not
	CodeInvalidReport Code = "invalid_report" // 400: the message names the field
	CodeInvalid       Code = "invalid"        // 400: an admin request; the message names the field
	CodeNotFound      Code = "not_found"      // 404
	CodeNotAllowed    Code = "not_allowed"    // 405
	CodeConflict      Code = "conflict"       // 409: exists already, or still has hosts
	CodeEncoding      Code = "encoding"       // 415: only identity and gzip
	CodeTooMany       Code = "too_many"       // 429
	CodeInternal      Code = "internal"       // 500: a bug; details are in the hub's log
	CodeUnavailable   Code = "unavailable"    // 503: nothing was done; retry after Retry-After
)

// ErrorBody is what every error answer carries. Message never contains a key.
type ErrorBody struct {
	Error ErrorDetail `json:"error"`
}

// ErrorDetail is the inside of an ErrorBody.
type ErrorDetail struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}
