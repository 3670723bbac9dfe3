// Draws a host's figures with uPlot.
"use strict";
(function () {
	const home = document.getElementById("graphs");
	if (!home || !window.uPlot) return;
	let drawn = [], span = home.dataset.first, data = null;
	// A custom property with light-dark() has no colour of its own: ask something that wears it.
	function colour(name) {
		const probe = document.createElement("i");
		probe.hidden = true;
		probe.className = "probe";
		probe.style.color = "var(" + name + ")";
		home.append(probe);
		const c = getComputedStyle(probe).color;
		probe.remove();
		return c;
	}

	function axis() {
		return { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11.5px system-ui, sans-serif" };
	}

	function draw() {
		drawn.forEach(u => u.destroy());
		drawn = [];
		for (const box of home.querySelectorAll("[data-plot]")) plot(box, box.dataset.plot);
	}

	function plot(box, name) {
		box.replaceChildren();
		const values = data[name];
		if (!values || !values.some(v => v != null)) {
			const none = document.createElement("p");
			none.className = "none";
			none.textContent = "Nothing is known of this time.";
			box.append(none);
			return;
		}
		const accent = colour("--accent"), percent = name !== "guests";
		const series = [{}, { label: name, stroke: accent, width: 1.6, fill: accent.replace("rgb(", "rgba(").replace(")", ", .12)"), points: { show: values.length < 3 }, spanGaps: false }];
		const columns = [data.times, values];
		if (name === "cpu" && data.slot) {
			series.push({ label: "most", stroke: colour("--fill"), width: 1, points: { show: false }, spanGaps: false });
			columns.push(data.cpu_max);
		}
		if (name === "guests") series[1].paths = uPlot.paths.stepped({ align: 1 });
		const caption = box.closest("figure").querySelector("figcaption");
		const title = caption.dataset.title || (caption.dataset.title = caption.textContent);
		const read = document.createElement("span");
		read.className = "num";
		caption.replaceChildren(title, read);
		const show = i => {
			if (i == null) i = lastKnown(values);
			const v = values[i], when = new Date(data.times[i] * 1000);
			read.textContent = (v == null ? "unknown" : percent ? v + " %" : v) + " · " + when.toLocaleString(undefined, { dateStyle: data.to - data.from > 90000 ? "medium" : undefined, timeStyle: "short", hour12: false });
		};
		const u = new uPlot({
			width: box.clientWidth, height: 156, legend: { show: false }, padding: [8, 4, 0, 0],
			cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
			scales: { x: { range: [data.from, data.to] }, y: { range: percent ? [0, 100] : (u, min, max) => [0, Math.max(max + 1, 4)] } },
			axes: [Object.assign(axis(), { size: 26, space: 64, values: (u, vs, i, space, step) => vs.map(v => label(v, step)) }), Object.assign(axis(), { size: 44, splits: percent ? () => [0, 25, 50, 75, 100] : undefined, incrs: percent ? undefined : [1, 2, 5, 10, 20, 50, 100, 500, 1000], values: (u, vs) => vs.map(v => percent ? v + " %" : v) })],
			series: series, hooks: { setCursor: [u => show(u.cursor.idx)] },
		}, columns, box);
		show(null);
		drawn.push(u);
	}

	// 24 hours a day; the date where one begins
	function label(v, step) {
		const d = new Date(v * 1000), midnight = d.getHours() + d.getMinutes() === 0;
		if (step >= 86400 || midnight) return d.toLocaleDateString(undefined, { day: "numeric", month: "short" });
		return String(d.getHours()).padStart(2, "0") + ":" + String(d.getMinutes()).padStart(2, "0");
	}

	function lastKnown(values) {
		for (let i = values.length - 1; i > 0; i--) if (values[i] != null) return i;
		return 0;
	}

	async function load() {
		home.setAttribute("aria-busy", "true");
		try {
			const answer = await fetch(home.dataset.series + "?span=" + span, { credentials: "same-origin" });
			if (answer.ok) {
				data = await answer.json();
				draw();
			}
		} catch (gone) { /* what was drawn stays */ }
		home.removeAttribute("aria-busy");
	}

	home.addEventListener("click", e => {
		const b = e.target.closest("[data-span]");
		if (!b) return;
		span = b.dataset.span;
		for (const o of home.querySelectorAll("[data-span]")) o.setAttribute("aria-pressed", String(o === b));
		load();
	});
	let wait = 0;
	addEventListener("resize", () => { clearTimeout(wait); wait = setTimeout(() => data && draw(), 120); });
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => data && draw());
	setInterval(() => document.hidden || load(), 60000);
	home.querySelector('[data-span="' + span + '"]').click();
})();
