// Bundles GraphiQL into dist/: one page, one script, one style sheet, three workers, fonts, an icon and the licences of
// all that is inside. Every file but the page has the hash of its content in its name, and each is stored as gzip only,
// for the node to embed. Nothing is inlined into the page and nothing points outside, so the page runs under a strict
// content security policy.

import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';

const HOME = import.meta.dirname;
const DIST = join(HOME, 'dist');
const SERVED_AT = '/graphiql';
const WORKERS = {
  editor: 'monaco-editor/esm/vs/editor/editor.worker.js',
  json: 'monaco-editor/esm/vs/language/json/json.worker.js',
  graphql: 'monaco-graphql/esm/graphql.worker.js',
};

const COMMON = {
  absWorkingDir: HOME,
  outdir: DIST,
  write: false,
  bundle: true,
  minify: true,
  metafile: true,
  target: 'es2022',
  legalComments: 'none', // licences.txt has them, whole
  define: { 'process.env.NODE_ENV': '"production"' },
  logLevel: 'warning',
};

const workers = await build({
  ...COMMON,
  format: 'iife',
  entryPoints: WORKERS,
  entryNames: '[name].worker-[hash]',
});

const page = await build({
  ...COMMON,
  format: 'esm',
  entryPoints: { graphiql: 'src/main.jsx' },
  entryNames: '[name]-[hash]',
  assetNames: '[name]-[hash]',
  publicPath: SERVED_AT,
  jsx: 'automatic',
  loader: { '.graphql': 'text', '.svg': 'file', '.ttf': 'file', '.woff2': 'file' },
  define: { ...COMMON.define, WORKER_FILES: JSON.stringify(workerFiles(workers)) },
});

const files = new Map([...workers.outputFiles, ...page.outputFiles].map((file) => [basename(file.path), file.contents]));
const licenses = await licensesOf([...Object.keys(workers.metafile.inputs), ...Object.keys(page.metafile.inputs)]);
const licensesFile = `licenses-${hashOf(licenses)}.txt`;
files.set(licensesFile, licenses);
files.set('index.html', await html());
await store(files);

/** The file name of each worker, by the label that Monaco asks for. */
function workerFiles({ metafile }) {
  const names = Object.entries(metafile.outputs).map(([path, { entryPoint }]) => [entryPoint, basename(path)]);
  return Object.fromEntries(
    Object.entries(WORKERS).map(([label, source]) => [label, names.find(([entry]) => entry.endsWith(source))[1]]),
  );
}

/** The page, with the hashed names of the files that it loads. */
async function html() {
  const template = await readFile(join(HOME, 'src/index.html'), 'utf8');
  const named = { icon: 'icon-*.svg', licenses: licensesFile, style: 'graphiql-*.css', script: 'graphiql-*.js' };
  return template.replace(/\{\{(\w+)\}\}/g, (_, key) => {
    const [start, end] = named[key].split('*');
    const name = [...files.keys()].find((file) => file.startsWith(start) && file.endsWith(end ?? ''));
    return `${SERVED_AT}/${name}`;
  });
}

/** The licence texts of all packages that have a file among `inputs`: their authors ask that a copy carries them. */
async function licensesOf(inputs) {
  const packages = new Set(
    inputs.map((path) => path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0]).filter((path) => path !== undefined),
  );
  const texts = [...packages].sort().map(async (folder) => {
    const { name, version, license } = JSON.parse(await readFile(join(HOME, folder, 'package.json'), 'utf8'));
    const file = (await readdir(join(HOME, folder))).find((entry) => /^licen[cs]e(\.|$)/i.test(entry));
    const text = file ? await readFile(join(HOME, folder, file), 'utf8') : 'The package carries no licence text.\n';
    return `${name} ${version} (${license})\n\n${text.trim()}\n`;
  });
  return (await Promise.all(texts)).join(`\n${'-'.repeat(80)}\n\n`);
}

function hashOf(content) {
  return createHash('sha256').update(content).digest('hex').slice(0, 8).toUpperCase();
}

/** Replaces what dist/ holds (but not its .gitignore), the page last, and prints the sizes. */
async function store(contents) {
  await mkdir(DIST, { recursive: true });
  for (const name of await readdir(DIST)) {
    if (name !== '.gitignore') await rm(join(DIST, name), { recursive: true });
  }
  let total = 0;
  for (const [name, content] of contents) {
    const zipped = gzipSync(content, { level: 9 });
    total += zipped.length;
    await writeFile(join(DIST, `${name}.gz`), zipped);
    console.log(`${String(zipped.length).padStart(9)} bytes  ${name}`);
  }
  console.log(`${String(total).padStart(9)} bytes in ${contents.size} files`);
}
