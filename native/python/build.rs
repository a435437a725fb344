//! Gives the library a hash of the sources that it is built from, so that Python can tell a stale one.
//!
//! It must not know what the sources say. Invariant: `worker/native/sources.py` computes the same of the same files,
//! on every machine, whatever else lies beside them.

use std::fs;
use std::path::{Path, PathBuf};

const FILES: [&str; 6] =
    ["Cargo.toml", "Cargo.lock", "tables.txt", "engine/Cargo.toml", "python/Cargo.toml", "python/build.rs"];
const FOLDERS: [&str; 2] = ["engine/src", "python/src"];

fn main() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a checkout");
    let native = top.join("native");
    let mut files: Vec<PathBuf> = FILES.iter().map(|name| native.join(name)).collect();
    for folder in FOLDERS {
        println!("cargo::rerun-if-changed={}", native.join(folder).display());
        add_rust_files(&native.join(folder), &mut files);
    }
    let tables = fs::read_to_string(native.join("tables.txt")).expect("native/tables.txt");
    let is_name = |line: &&str| !line.is_empty() && !line.starts_with('#');
    files.extend(tables.lines().filter(is_name).map(|name| top.join(name)));
    println!("cargo::rustc-env=SESSIONIZER_SOURCES={:08x}", hash_of(top, files));
}

fn add_rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("a source").path();
        if path.is_dir() {
            add_rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn hash_of(top: &Path, files: Vec<PathBuf>) -> u32 {
    let name_of =
        |file: &Path| file.strip_prefix(top).expect("below the top").to_str().expect("a name").to_owned();
    let mut named: Vec<(String, PathBuf)> =
        files.into_iter().map(|file| (name_of(&file).replace('\\', "/"), file)).collect();
    named.sort();
    let mut crc = Crc32(!0);
    for (name, file) in named {
        println!("cargo::rerun-if-changed={}", file.display());
        let text = fs::read(&file).expect("a source that is there");
        crc.update(format!("{name} {}\n", text.len()).as_bytes());
        crc.update(&text);
    }
    !crc.0
}

/// As `zlib.crc32`: a hash against mistakes, not against malice, that needs no crate.
struct Crc32(u32);

impl Crc32 {
    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u32::from(*byte);
            for _ in 0..8 {
                self.0 = (self.0 >> 1) ^ (0xedb8_8320 & (self.0 & 1).wrapping_neg());
            }
        }
    }
}
