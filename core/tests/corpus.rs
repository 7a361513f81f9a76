//! The corpus of the fuzz targets, on any toolchain: every input is run through every target.

#[path = "../../tests/fuzz/src/lib.rs"]
pub mod programs;

use std::path::PathBuf;

fn inputs() -> Vec<(PathBuf, Vec<u8>)> {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
    let mut files = Vec::new();
    for (target, _) in programs::TARGETS {
        let folder = std::fs::read_dir(corpus.join(target)).expect("every target has a corpus");
        let mut paths: Vec<_> = folder.map(|entry| entry.expect("a file of the corpus").path()).collect();
        assert!(!paths.is_empty(), "the corpus of {target} is empty");
        paths.sort();
        files.extend(paths.into_iter().map(|path| {
            let bytes = std::fs::read(&path).expect("a file of the corpus can be read");
            (path, bytes)
        }));
    }
    files
}

/// Says which input it was, when one fails.
struct Running<'a>(&'a str, PathBuf);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("target {} failed on {}", self.0, self.1.display());
        }
    }
}

#[test]
fn every_input_through_every_target() {
    for (path, bytes) in inputs() {
        for (name, run) in programs::TARGETS {
            let _running = Running(name, path.clone());
            run(&bytes);
        }
    }
}
