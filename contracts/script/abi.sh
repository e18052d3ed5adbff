#!/usr/bin/env bash
# Builds the contracts and writes what is committed of them into ../abi: the ABIs, one plain JSON array per contract, and
# the code that the node sends along with a call, one line of hex. Nothing else writes there. With --check nothing is
# written: it fails where a file is not that of the build.
set -euo pipefail
script="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
"$script/build.sh"
node - "$script/../out" "$script/../../abi" "$@" <<'NODE'
const fs = require('node:fs');
const [out, abi, option] = process.argv.slice(2);
const names = [
  'IdentityRegistry', 'ReputationRegistry', 'ValidationRegistry',
  'AuditLog', 'AgentRegistry', 'PolicyEngine', 'CrossChainExecutor',
];
fs.mkdirSync(abi, { recursive: true });
for (const name of names) {
  const items = artifact(name).abi;
  keep(`${name}.json`, `${JSON.stringify(items, null, 2)}\n`, `${items.length} items`);
}
const code = artifact('SignatureCheck').bytecode.object;
keep('SignatureCheck.hex', `${code}\n`, `${code.length / 2 - 1} bytes`);

function artifact(name) {
  return JSON.parse(fs.readFileSync(`${out}/${name}.sol/${name}.json`, 'utf8'));
}

function keep(file, content, size) {
  if (option !== '--check') {
    fs.writeFileSync(`${abi}/${file}`, content);
    console.log(`abi/${file}: ${size}`);
  } else if (!fs.existsSync(`${abi}/${file}`) || fs.readFileSync(`${abi}/${file}`, 'utf8') !== content) {
    console.error(`abi/${file} is not that of the build: run contracts/script/abi.sh`);
    process.exitCode = 1;
  }
}
NODE
