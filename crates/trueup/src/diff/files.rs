//! Objects from files, folders and standard input.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use trueup_object::manifest::{FileOrigin, Manifest, ManifestProblem, Severity, read_manifests};

use crate::failure::Failure;
use crate::output;

/// A dump of a whole cluster has some ten thousand objects of 5 KB; more is most likely the wrong folder.
const BYTES_MAX: u64 = 512 << 20;

/// The name that stands for standard input.
const STDIN: &str = "-";

/// What was read from one place.
#[derive(Debug, Default)]
pub struct Files {
    pub manifests: Vec<Manifest>,
    /// Objects are lost by these.
    pub lost: Vec<ManifestProblem>,
}

impl Files {
    /// Why objects may be missing, in a sentence; nothing where all were read.
    pub fn loss(&self) -> Option<String> {
        self.lost.first().map(ToString::to_string)
    }
}

/// Reads every object of a file, of a folder with all that is below it, or of standard input (`-`). Files are read in
/// the order of their paths. What is wrong without losing an object is told.
pub fn read(place: &Path) -> Result<Files, Failure> {
    let mut files = Files::default();
    for (path, bytes) in contents(place)? {
        let origin = FileOrigin { repo: "".into(), revision: "".into(), path: path.as_str().into() };
        let (manifests, problems) = read_manifests(&bytes, &origin);
        files.manifests.extend(manifests);
        for problem in problems {
            match problem.severity {
                Severity::Error => files.lost.push(problem),
                Severity::Warning => output::tell(&format!("note: {problem}")),
            }
        }
    }
    Ok(files)
}

/// The bytes of a place, file by file.
pub fn contents(place: &Path) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    if place == Path::new(STDIN) {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().take(BYTES_MAX + 1).read_to_end(&mut bytes);
        read.map_err(|error| unread(place, &error))?;
        check_size(place, bytes.len() as u64)?;
        return Ok(vec![("standard input".to_owned(), bytes)]);
    }
    let metadata = std::fs::metadata(place).map_err(|error| unread(place, &error))?;
    let paths = if metadata.is_dir() { below(place)? } else { vec![place.to_owned()] };
    let mut total = 0;
    let mut found = Vec::with_capacity(paths.len());
    for path in paths {
        let bytes = std::fs::read(&path).map_err(|error| unread(&path, &error))?;
        total += bytes.len() as u64;
        check_size(place, total)?;
        found.push((path.display().to_string(), bytes));
    }
    Ok(found)
}

/// Whether a place is standard input.
pub fn is_stdin(place: &Path) -> bool {
    place == Path::new(STDIN)
}

fn check_size(place: &Path, bytes: u64) -> Result<(), Failure> {
    if bytes <= BYTES_MAX {
        return Ok(());
    }
    Err(Failure::user(format!("{} holds more than {} MiB", place.display(), BYTES_MAX >> 20))
        .hint("name a smaller folder or file"))
}

/// The manifests and documents below a folder, in order. Hidden ones, such as `.git`, are no manifests; links to folders
/// are not followed, since they may lead in circles.
fn below(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| unread(&folder, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unread(&folder, &error))?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let path = entry.path();
            let kind = entry.file_type().map_err(|error| unread(&path, &error))?;
            let is_read = path.extension().is_some_and(|end| {
                ["yaml", "yml", "json"].iter().any(|wanted| end.eq_ignore_ascii_case(wanted))
            });
            if kind.is_dir() {
                open.push(path);
            } else if is_read && path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn unread(path: &Path, error: &std::io::Error) -> Failure {
    Failure::user(format!("failed to read {}: {error}", path.display()))
        .hint("name a file, a folder, or - for standard input")
}
