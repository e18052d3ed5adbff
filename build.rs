//! Lists the files of the GraphiQL bundle for `src/api/graphiql.rs` to embed.
//!
//! `web/dist` is filled by npm (`make web`) and is no part of the repository. Without it the list is empty and the build
//! still succeeds: a node whose API is used by programs needs neither Node.js nor the page.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Written by `web/build.mjs` last, so that a bundle that has it is whole.
const PAGE: &str = "index.html.gz";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=web/dist");
    let manifest_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it for build scripts"));
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it for build scripts"));
    let entries = entries(&manifest_dir.join("web").join("dist"))?;
    fs::write(out_dir.join("graphiql_files.rs"), format!("&[\n{}]\n", entries.concat()))
}

/// One Rust expression for each file of the bundle, in the order of their names; none when the bundle is not built.
fn entries(bundle: &Path) -> io::Result<Vec<String>> {
    if !bundle.join(PAGE).exists() {
        return Ok(Vec::new());
    }
    let mut paths = fs::read_dir(bundle)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "gz")).map(|p| entry(p)).collect()
}

fn entry(path: &Path) -> io::Result<String> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut hasher = DefaultHasher::new();
    fs::read(path)?.hash(&mut hasher);
    Ok(format!("    File {{ name: {name:?}, hash: \"{:016x}\", gzip: include_bytes!({path:?}) }},\n", hasher.finish()))
}
