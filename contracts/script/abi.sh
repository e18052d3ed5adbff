#!/usr/bin/env bash
# Builds the contracts and writes their ABIs into ../abi, one plain JSON array per contract. Nothing else writes there.
set -euo pipefail
script="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
"$script/build.sh"
node - "$script/../out" "$script/../../abi" <<'NODE'
const fs = require('node:fs');
const [out, abi] = process.argv.slice(2);
const names = [
  'IdentityRegistry', 'ReputationRegistry', 'ValidationRegistry',
  'AuditLog', 'AgentRegistry', 'PolicyEngine', 'CrossChainExecutor',
];
fs.mkdirSync(abi, { recursive: true });
for (const name of names) {
  const artifact = JSON.parse(fs.readFileSync(`${out}/${name}.sol/${name}.json`, 'utf8'));
  fs.writeFileSync(`${abi}/${name}.json`, `${JSON.stringify(artifact.abi, null, 2)}\n`);
  console.log(`abi/${name}.json: ${artifact.abi.length} items`);
}
NODE
