// Keeps a page up to date: one stream of patches while the page is looked at.
"use strict";
(function () {
	const say = document.getElementById("say"), link = document.getElementById("link-state");
	let stream = null, stirred = false, due = 0, opened = false;

	function shown() {
		return [...new Set([...document.querySelectorAll("[data-h]")].map(e => e.dataset.h))];
	}

	function open() {
		close();
		if (document.hidden || !document.querySelector("[data-part]")) return;
		const fleet = document.querySelector("[data-of]"), of = fleet && fleet.dataset.of;
		stream = new EventSource("/live?" + (of ? "of=" + of + "&" : "") + "h=" + shown().slice(0, 60).join(","));
		stream.onmessage = e => take(JSON.parse(e.data));
		stream.onopen = () => {
			link.textContent = "Live";
			stirred = stirred || opened; // what was missed meanwhile
			opened = true;
		};
		stream.onerror = () => {
			link.textContent = "Not live; trying again";
			if (stream && stream.readyState === EventSource.CLOSED) setTimeout(open, 10000);
		};
	}

	function close() {
		if (stream) stream.close();
		stream = null;
	}

	function take(p) {
		felhom.setNow(p.now);
		const words = ["new", "ok", "stale", "down"];
		const all = document.querySelector('[data-count="all"]');
		words.forEach((w, i) => text(document.querySelector('[data-count="' + w + '"]'), String(p.counts[i])));
		text(all, String(p.counts.reduce((a, b) => a + b, 0)));
		const last = document.querySelector(".well time[data-ago]");
		if (last && p.newest) last.dateTime = new Date(p.newest).toISOString();
		const moved = [];
		for (const h of p.hosts || []) {
			for (const row of document.querySelectorAll('[data-h="' + CSS.escape(h.id) + '"]')) patch(row, h);
			if (h.moved) moved.push(h.id + " is " + h.state);
		}
		if (moved.length) say.textContent = moved.length > 3 ? moved.length + " hosts changed their state" : moved.join(", ");
		felhom.tick();
		stirred = stirred || p.stir;
		again();
	}

	function patch(row, h) {
		const state = row.querySelector('[data-f="state"] .state');
		if (state && !state.classList.contains(h.state)) {
			state.className = "state " + h.state;
			state.querySelector(".mark").className = "mark " + h.state;
			state.querySelector(".word").textContent = h.state;
			if (row.matches("tr")) row.className = h.state;
			row.classList.add("flash");
			setTimeout(() => row.classList.remove("flash"), 1700);
		}
		instant(row.querySelector('[data-f="contact"]'), h.contact, "data-ago");
		instant(row.querySelector('[data-f="since"]'), h.since, "data-age");
		meter(row, "CPU", h.cpu);
		meter(row, "Memory", h.memory);
		meter(row, "Disk", h.disk);
		text(row.querySelector('[data-f="guests"]'), h.guests);
		text(row.querySelector('[data-f="tunnel"]'), h.tunnel);
	}

	function instant(holder, ms, kind) {
		if (!holder || !ms) return;
		let t = holder.querySelector("time");
		if (!t) {
			t = document.createElement("time");
			t.setAttribute(kind, "");
			holder.replaceChildren(t);
		}
		t.dateTime = new Date(ms).toISOString();
		t.title = (kind === "data-age" ? "since " : "") + t.dateTime.slice(0, 19).replace("T", " ") + " UTC";
	}

	function meter(row, name, percent) {
		const gauge = row.querySelector('[data-meter="' + name + '"]');
		if (!gauge) return;
		text(gauge.querySelector(".num"), percent == null ? "–" : percent + " %");
		gauge.querySelector(".fill").setAttribute("width", percent || 0);
	}

	function text(element, words) {
		if (element && element.textContent !== words) element.textContent = words;
	}

	// What needs attention is made on the server: it is asked for, at most every other second.
	function again() {
		if (!stirred || due) return;
		due = setTimeout(async () => {
			due = 0;
			const parts = ["attention", "host"].filter(p => document.querySelector('[data-part="' + p + '"]'));
			stirred = false;
			for (const p of parts) if (!await felhom.refresh(p)) stirred = stirred || !!document.querySelector('[data-part="' + p + '"] details[open] form');
		}, 400);
	}

	document.addEventListener("visibilitychange", () => document.hidden ? close() : (felhom.tick(), open(), stirred = true, again()));
	document.addEventListener("fresh", e => { if (e.detail === "fleet") open(); });
	addEventListener("pagehide", close);
	open();
})();
