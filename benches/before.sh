#!/usr/bin/env bash
# Puts the first edition of obs-trading, in which orders had no costs and executions no memory, beside this one: instructions and
# nanoseconds of an order, a fill by identifier, a closed trade and a mark. Needs the repository's history, and valgrind.
set -euo pipefail
cd "$(dirname "$0")/.."
edition=2aac330
folder=$PWD/target/before-$edition
if [ ! -e "$folder/source" ]; then
  mkdir -p "$folder/source"
  git archive "$edition" | tar -x -C "$folder/source"
fi
cp benches/before.rs "$folder/source/crates/obs-trading/examples/before.rs"
(cd "$folder/source" && cargo build --release -p obs-trading --example before --target-dir "$folder/target")
cargo build --release -p obs-benches --features gate --bin obs-gate --target-dir target
before=$folder/target/release/examples/before
now=target/release/obs-gate

# Instructions of one operation, of 1,024 in the function `measured`.
instructions() {
  valgrind --quiet --tool=callgrind --callgrind-out-file="$folder/out" --toggle-collect='*measured*' "$1" "$2" > /dev/null
  awk '/^totals:/ { print $2 / 1024 }' "$folder/out"
}

# The least time of 200 rounds, of five turns of both programs.
nanoseconds() {
  for _ in 1 2 3 4 5; do echo "$("$before" "$1" 200) $("$now" "$1" 200)"; done |
    awk 'NR == 1 || $1 < b { b = $1 } NR == 1 || $2 < n { n = $2 } END { printf "%.0f -> %.0f ns (%.2f)", b, n, n / b }'
}

"$before" | while IFS= read -r line; do
  counted=$(echo "$(instructions "$before" "$line") $(instructions "$now" "$line")" |
    awk '{ printf "%.0f -> %.0f instructions (%.2f)", $1, $2, $2 / $1 }')
  printf '%-44s %-40s %s\n' "$line" "$counted" "$(nanoseconds "$line")"
done
