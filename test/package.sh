#!/usr/bin/env bash
# Packs Penstock, installs the package into an empty folder, and runs the quick start from there, as somebody who only has the package would.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$root"
npm run --silent build
npm pack --silent --ignore-scripts --pack-destination "$place" >/dev/null
# The machine's own Node may be older than what the package needs: the pinned one stands for it.
node=$(dirname "$(node test/node26/run.mjs -p process.execPath)")
export PATH="$node:$PATH"
cd "$place"
npm install --silent --no-audit --no-fund --ignore-scripts ./penstock-*.tgz
./node_modules/.bin/penstock run node_modules/penstock/pipelines/quickstart.yaml
test -s out/quickstart.ndjson || { echo "the package's quick start wrote no out/quickstart.ndjson"; exit 1; }
echo "ok      the package, installed from its tarball, ran the quick start"
