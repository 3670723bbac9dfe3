// What makes a page nicer where there is script: nothing here is needed.
"use strict";
(function () {
	const root = document.documentElement;
	root.classList.add("js");

	// words for durations; words.go says the same
	function age(seconds) {
		const s = Math.max(0, Math.floor(seconds));
		const two = (a, unit, b, small) => b ? a + " " + unit + " " + b + " " + small : a + " " + unit;
		if (s >= 86400) return two(Math.floor(s / 86400), "d", Math.floor(s / 3600) % 24, "h");
		if (s >= 3600) return two(Math.floor(s / 3600), "h", Math.floor(s / 60) % 60, "min");
		if (s >= 60) return Math.floor(s / 60) + " min";
		return s + " s";
	}

	// The hub's clock: what a page says of the past is counted by it.
	const page = document.querySelector("footer time");
	let lead = page ? Date.parse(page.dateTime) - Date.now() : 0;
	function tick() {
		const now = Date.now() + lead;
		for (const t of document.querySelectorAll("time[data-ago], time[data-age]")) {
			const words = age((now - Date.parse(t.dateTime)) / 1000) + (t.hasAttribute("data-ago") ? " ago" : "");
			if (t.textContent !== words) t.textContent = words;
		}
	}
	setInterval(tick, 1000);

	// refresh replaces parts of the page by what the server says now. A part in which
	// somebody is typing is left alone.
	let under = null;
	async function refresh(part, address) {
		const old = document.querySelector('[data-part="' + part + '"]');
		if (!old) return false;
		const busy = old.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
		if ((busy || old.querySelector("details[open] form")) && !address) return false;
		const url = new URL(address || location.href, location.href);
		url.searchParams.set("part", part);
		under && under.part === part && under.stop.abort();
		const mine = under = { part: part, stop: new AbortController() };
		let answer;
		try {
			answer = await fetch(url, { signal: mine.stop.signal, credentials: "same-origin" });
		} catch (gone) {
			return false;
		}
		if (answer.status === 401) location.reload();
		if (!answer.ok) return false;
		const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector('[data-part="' + part + '"]');
		if (!fresh) return false;
		const open = [...old.querySelectorAll("details")].map(d => d.open);
		[...fresh.querySelectorAll("details")].forEach((d, i, all) => { if (all.length === open.length) d.open = open[i]; });
		old.replaceWith(document.adoptNode(fresh));
		document.dispatchEvent(new CustomEvent("fresh", { detail: part }));
		return true;
	}

	// search while one types, and links that stay on the page
	let wait = 0;
	async function go(address) {
		const at = document.activeElement, name = at && at.name, caret = at && at.selectionStart;
		if (!await refresh("fleet", address)) return location.assign(address);
		history.replaceState(null, "", address);
		if (!name) return;
		const field = document.querySelector('[data-search] [name="' + name + '"]');
		if (field) {
			field.focus();
			if (field.setSelectionRange && caret != null && field.type === "search") field.setSelectionRange(caret, caret);
		}
	}
	function asked(form) {
		const url = new URL(form.action);
		for (const [name, value] of new FormData(form)) if (value) url.searchParams.set(name, value);
		return url.href;
	}
	document.addEventListener("input", e => {
		const form = e.target.closest("[data-search]");
		if (!form) return;
		clearTimeout(wait);
		wait = setTimeout(() => go(asked(form)), e.target.matches("select") ? 0 : 160);
	});
	document.addEventListener("submit", e => {
		if (e.target.matches("[data-search]")) {
			e.preventDefault();
			go(asked(e.target));
		}
	});
	document.addEventListener("click", e => {
		const link = e.target.closest("a[data-keep]");
		if (link && !e.metaKey && !e.ctrlKey && !e.shiftKey && document.querySelector('[data-part="fleet"]')) {
			e.preventDefault();
			go(link.href);
		}
		for (const d of document.querySelectorAll("details.act[open]")) if (!d.contains(e.target)) d.open = false;
	});
	document.addEventListener("keydown", e => {
		const typing = e.target.matches("input, select, textarea");
		if (e.key === "/" && !typing && !e.ctrlKey && !e.metaKey) {
			const field = document.querySelector('[data-search] input[type="search"]');
			if (field) {
				e.preventDefault();
				field.focus();
			}
		}
		if (e.key === "Escape") {
			for (const d of document.querySelectorAll("details.act[open]")) {
				d.open = false;
				d.querySelector("summary").focus();
			}
		}
	});

	window.felhom = { age: age, tick: tick, refresh: refresh, setNow: now => { lead = now - Date.now(); } };
})();
