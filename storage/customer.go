package storage

import "felhom.eu/messages"

func (e *encoder) customer(c *messages.Customer) {
	e.text(c.DisplayName)
	e.bool(c.Blocked)
	e.time(c.CreatedAt)
}

func (d *decoder) customer(key []byte) messages.Customer {
	return messages.Customer{
		ID:          messages.CustomerID(key[1:]),
		DisplayName: d.text(),
		Blocked:     d.bool(),
		CreatedAt:   d.time(),
	}
}

// Customer reads one customer. Errors: ErrNotFound, ErrCorrupt.
func (db *DB) Customer(id messages.CustomerID) (messages.Customer, error) {
	return one(db, textKey(prefixCustomer, id), (*decoder).customer)
}

// Customers lists up to limit customers in the order of their ids, from the
// one behind after.
func (db *DB) Customers(after messages.CustomerID, limit int) ([]messages.Customer, error) {
	q := query{prefix: []byte{prefixCustomer}, from: behind(prefixCustomer, after)}
	return list(db, q, limit, (*decoder).customer, nil)
}

// EachCustomer calls fn for every customer in the order of their ids, until fn
// fails.
func (db *DB) EachCustomer(fn func(messages.Customer) error) error {
	return each(db, query{prefix: []byte{prefixCustomer}}, (*decoder).customer, fn)
}
