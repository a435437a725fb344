//! Gives the library a hash of the sources that it is built from, so that Python can tell a stale one.
//!
//! `worker/adapters/native/sources.py` computes the same. Invariant: the same files give the same hash on every
//! machine, whatever else lies beside them.

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    let native = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let mut files = Vec::new();
    for name in ["Cargo.toml", "Cargo.lock", "engine/Cargo.toml", "python/Cargo.toml", "python/build.rs"] {
        files.push(native.join(name));
    }
    for folder in ["engine/src", "python/src"] {
        rust_files(&native.join(folder), &mut files);
    }
    let mut named: Vec<(String, PathBuf)> = files
        .into_iter()
        .map(|file| (file.strip_prefix(&native).unwrap().to_str().unwrap().replace('\\', "/"), file))
        .collect();
    named.sort();
    let mut hash = Crc32(!0);
    for (name, file) in named {
        println!("cargo::rerun-if-changed={}", file.display());
        let text = fs::read(&file).unwrap();
        hash.update(format!("{name} {}\n", text.len()).as_bytes());
        hash.update(&text);
    }
    for folder in ["engine/src", "python/src"] {
        println!("cargo::rerun-if-changed={}", native.join(folder).display());
    }
    println!("cargo::rustc-env=SESSIONIZER_SOURCES={:08x}", !hash.0);
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
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
