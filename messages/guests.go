package messages

// DecodeGuests reads only the guests of a report that Scan accepted: in one pass
// like Scan's, but with their texts. It keeps nothing of body.
// The error is an *InvalidError.
func DecodeGuests(body []byte) ([]Guest, error) {
	p := scanners.Get().(*scanner)
	p.start(body)
	p.space()
	var guests []Guest
	o := p.object(reportShape)
	for p.next(&o) {
		if o.field == reportGuests {
			guests = p.guestList()
		} else {
			p.skip()
		}
	}
	err := p.finish()
	scanners.Put(p)
	if err != nil {
		return nil, err
	}
	return guests, nil
}

func (p *scanner) guestList() (guests []Guest) {
	p.open('[', "an array")
	for p.index = 0; p.more(p.index > 0, ']'); p.index++ {
		guests = append(guests, p.wholeGuest())
	}
	p.index = -1
	p.distinctGuests()
	return guests
}

// wholeGuest reads one guest with everything the contract knows of it.
func (p *scanner) wholeGuest() (g Guest) {
	o := p.object(guestShape)
	for p.next(&o) {
		switch o.field {
		case guestVMID:
			g.VMID = VMID(p.vmid())
		case guestKind:
			g.Kind = string(p.text())
		case guestName:
			g.Name = string(p.text())
		case guestStatus:
			g.Status = string(p.text())
		case guestControllerVersion:
			g.ControllerVersion = string(p.text())
		case guestSpec:
			var r guestReality
			p.spec(&r)
			g.Spec = &GuestSpec{Cores: r.cores, MemoryBytes: r.memory, DiskBytes: r.disk}
		case guestUptimeSeconds:
			g.UptimeSeconds = p.uint()
		case guestCPUUsedRatio:
			g.CPUUsedRatio = p.float()
		case guestMemoryUsedBytes:
			g.MemoryUsedBytes = p.uint()
		case guestDiskUsedBytes:
			g.DiskUsedBytes = p.uint()
		case guestOnBoot:
			g.OnBoot = lenientValue[bool](p)
		case guestTags:
			g.Tags = lenientValue[Items[string]](p)
		case guestLock:
			g.Lock = lenientValue[string](p)
		}
	}
	return g
}
