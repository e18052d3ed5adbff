//! The map in `src/lib.rs` is true: a file imports only from lower floors, and folders on one floor never import each
//! other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the crate's own paths begin in code.
const CRATE_PATH: &str = "crate::";

/// The floor of each room, as the table in `src/lib.rs` has it.
fn map() -> BTreeMap<String, u32> {
    let text = fs::read_to_string(source().join("lib.rs")).unwrap();
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("//! |")?.split('|').map(str::trim);
        Some((cells.next()?.parse::<u32>().ok()?, cells.next()?.to_owned()))
    });
    let rooms = rows.flat_map(|(floor, rooms)| {
        let names = rooms.split(", ").map(|room| room.trim_matches(['[', ']', '`']).to_owned());
        names.map(|room| (room, floor)).collect::<Vec<_>>()
    });
    rooms.collect()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| match path.is_dir() {
        true => rust_files(&path),
        false => vec![path],
    });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The room that a file is in: its folder or its own name below `src`.
fn room(file: &Path) -> String {
    let path = file.strip_prefix(source()).unwrap();
    let first = path.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The rooms that a file names, in imports and in paths; comments may name whom they like.
fn named_rooms(text: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    assert!(!code.contains("use crate::{"), "imports are one room a line");
    let paths = code.split(CRATE_PATH).skip(1);
    let names = paths.map(|path| path.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_'));
    names.map(Iterator::collect).collect()
}

#[test]
fn every_file_imports_only_from_lower_floors() {
    let map = map();
    for file in rust_files(&source()) {
        let here = room(&file);
        if ["lib", "main"].contains(&here.as_str()) {
            continue;
        }
        let floor = map.get(&here).unwrap_or_else(|| panic!("{here} is on no floor of the map in src/lib.rs"));
        for other in named_rooms(&fs::read_to_string(&file).unwrap()) {
            let below = map.get(&other).unwrap_or_else(|| panic!("{} names the room {other}", file.display()));
            assert!(other == here || below < floor, "{} (floor {floor}) imports {other} ({below})", file.display());
        }
    }
}

#[test]
fn every_room_of_the_map_is_there() {
    let rooms: BTreeSet<String> = rust_files(&source()).iter().map(|file| room(file)).collect();
    let mapped: BTreeSet<String> = map().into_keys().collect();
    assert!(mapped.len() > 10, "the table in src/lib.rs is read: {mapped:?}");
    assert_eq!(mapped, rooms.into_iter().filter(|room| room != "lib" && room != "main").collect());
}
