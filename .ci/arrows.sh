#!/usr/bin/env bash
# Proves the import arrows: who may know whom. Everything that a package links
# counts, not only what it imports itself. Tests may reach further.
set -euo pipefail
cd "$(dirname "$0")/.."

module=felhom.eu
bad=0

# One list for all questions: PACKAGE: DEPENDENCY DEPENDENCY...
list=$(go list -f '{{.ImportPath}}:{{range .Deps}} {{.}}{{end}}' ./...)
declare -A dependencies
while IFS=: read -r package all; do
	dependencies[$package]=$all
done <<<"$list"

# linked PACKAGE: what it links besides itself and the standard library.
linked() { tr ' ' '\n' <<<"${dependencies[$1]}" | grep '^[^/]*\.' || true; }

# rooms_in ROOM: it and its sub-rooms, as ./ROOM/...
rooms_in() { printf '%s\n' "${!dependencies[@]}" | sed -n "s|^$module/$1\$|./$1|p; s|^$module/$1/|./$1/|p" | sort; }

# forbid PACKAGE REASON PATTERN...: PACKAGE links nothing that a pattern matches.
forbid() {
	local package=$1 reason=$2 found
	shift 2
	found=$(linked "$module${package#.}" | grep -E "$(IFS='|'; echo "$*")" || true)
	if [ -n "$found" ]; then
		bad=1
		printf '%s links what it must not know (%s):\n' "$package" "$reason"
		sed 's/^/\t/' <<<"$found"
	fi
}


badger='^github\.com/dgraph-io/badger'
fasthttp='^github\.com/valyala/fasthttp'
hollywood='^github\.com/anthdm/hollywood'
sqlite='sqlite'
rooms() { local r; for r in "$@"; do printf '^%s/%s(/|$)\n' "$module" "$r"; done; }

forbid ./messages "the language is the standard library's" .
forbid ./storage "the memory knows no actors" $(rooms actors hub agent) "$fasthttp" "$hollywood" "$sqlite"
forbid ./actors "the behaviour knows no disk and no wire" $(rooms storage hub agent) "$badger" "$fasthttp"

for package in $(rooms_in agent); do
	forbid "$package" "the agent is not the hub" $(rooms storage hub) "$badger" "$fasthttp"
	[ "$package" = ./agent ] || forbid "$package" "only agent/run.go wires" $(rooms actors) "$hollywood"
done

for package in $(rooms_in hub); do
	case $package in
	./hub) forbid "$package" "only the demo's leaf clients cross over" $(rooms agent/config agent/api2 agent/proxmox agent/pbs agent/cloudflared) ;;
	./hub/app) forbid "$package" "the hub is not the agent" $(rooms agent) ;;
	./hub/demo) forbid "$package" "the demo goes the way strangers go" \
		$(rooms actors storage hub/app agent/config agent/api2 agent/proxmox agent/pbs agent/cloudflared) "$badger" "$hollywood" "$fasthttp" ;;
	*) forbid "$package" "only hub/app wires" $(rooms actors storage agent) "$badger" "$hollywood" ;;
	esac
done

[ $bad -eq 0 ] && echo "arrows: ${#dependencies[@]} packages point toward messages and never back"
exit $bad
