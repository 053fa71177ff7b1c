//! Remotes in memory: the same as real ones on the same content, and their faults.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trueup_engine::source::{CommitId, Interest, ReadFilter, RepoUrl, Revision, SourceErrorKind as Kind};
use trueup_object::Timestamp;

use super::remote::{COMMIT_SECONDS, Remote};
use super::{World, content, everything, names, path_of};
use crate::{Conduct, Edit, Freshness, MemoryMirrors, MemoryRemotes, NewCommit, Outage, Repositories};

/// One repository in memory and what reads it.
struct InMemory {
    remotes: MemoryRemotes,
    mirrors: MemoryMirrors,
    repositories: Repositories,
    url: RepoUrl,
}

impl InMemory {
    fn new(url: RepoUrl) -> Self {
        let (remotes, mirrors) = (MemoryRemotes::new(), MemoryMirrors::new());
        let repositories = Repositories::in_memory(remotes.clone(), mirrors.clone());
        remotes.create(&url);
        Self { remotes, mirrors, repositories, url }
    }

    fn shop() -> Self {
        Self::new(RepoUrl::parse("https://git.example.com/shop.git").unwrap())
    }

    fn commit(&self, files: &[(&str, &str)]) -> CommitId {
        let edits = files.iter().map(|(path, text)| ((*path).to_owned(), write(text))).collect();
        self.remotes.commit(&self.url, "main", &commit("a change", edits))
    }

    async fn head(&self) -> Result<CommitId, Kind> {
        let head = self.repositories.resolve(&self.url, &Revision::Head, Freshness::Now).await;
        head.map_err(|error| error.kind())
    }

    async fn text(&self, commit: CommitId, path: &str) -> Result<Vec<u8>, Kind> {
        let tree = self.repositories.read(&self.url, commit, &path_of("."), &everything()).await;
        tree.map(|tree| content(&tree, path).to_vec()).map_err(|error| error.kind())
    }
}

fn write(text: &str) -> Edit {
    Edit::Write(text.as_bytes().to_vec())
}

fn commit(message: &str, edits: Vec<(String, Edit)>) -> NewCommit {
    NewCommit {
        author: "Alice <alice@example.com>".into(),
        time: Timestamp::from_second(COMMIT_SECONDS).unwrap(),
        message: message.to_owned(),
        edits,
    }
}

/// Paths that sort differently as files and as directories, nested ones, and links of every sort.
const FILES: &[(&str, &str)] = &[
    ("apps/a.yaml", "A"),
    ("apps/a/z.yaml", "Z"),
    ("apps/a/deep/er/y.json", "Y"),
    ("apps/a-b/x.yaml", "X"),
    ("apps/b.json", "B"),
    ("apps/README.md", "R"),
    ("shared/ca.yaml", "CA"),
    ("x.yaml", "X"),
];

const LINKS: &[(&str, &str)] = &[
    ("apps/ca.yaml", "../shared/ca.yaml"),
    ("apps/later.yaml", "../shared/later.yaml"),
    ("apps/etc.yaml", "/etc/passwd"),
    ("apps/loop.yaml", "loop.yaml"),
    ("apps/directory.yaml", "../shared"),
    ("current", "apps"),
];

/// Both remotes with the same content, each with its first commit.
fn both() -> (Remote, CommitId, InMemory, CommitId) {
    let real = Remote::new();
    for (link, target) in LINKS {
        real.link(link, target);
    }
    let first = real.commit(FILES, "fix: the subject\n\nand a body");
    let memory = InMemory::new(real.url());
    let links = LINKS.iter().map(|(path, target)| ((*path).to_owned(), Edit::Link((*target).to_owned())));
    let files = FILES.iter().map(|(path, text)| ((*path).to_owned(), write(text)));
    let new = commit("fix: the subject\n\nand a body", links.chain(files).collect());
    let same = memory.remotes.commit(&memory.url, "main", &new);
    (real, first, memory, same)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_content_is_read_in_the_same_way() {
    let (real, first, memory, same) = both();
    let world = World::new().await;
    let yaml_alone = ReadFilter {
        recurse: false,
        interest: Arc::new(|path| match path.rsplit('.').next() {
            Some("yaml") => Interest::Content,
            Some("json") => Interest::Name,
            _ => Interest::Nothing,
        }),
        bytes_max: 1000,
    };
    let small = ReadFilter { bytes_max: 3, ..everything() };
    for filter in [everything(), yaml_alone, small] {
        for path in [".", "apps", "current", "apps/a", "shared", "nope", "apps/a.yaml", "apps/a.yaml/x"] {
            let (url, path) = (real.url(), path_of(path));
            let from_disk = world.repositories.read(&url, first, &path, &filter).await;
            let from_memory = memory.repositories.read(&url, same, &path, &filter).await;
            match (from_disk, from_memory) {
                (Ok(from_disk), Ok(mut from_memory)) => {
                    assert_eq!(from_memory.commit, same);
                    from_memory.commit = first;
                    assert_eq!(from_memory, from_disk, "{path}");
                    let id = memory.repositories.tree_id(&url, same, &path).await;
                    assert_eq!(id, world.repositories.tree_id(&url, first, &path).await);
                }
                (from_disk, from_memory) => {
                    let kind = from_memory.map(|_| ()).map_err(|error| error.kind());
                    assert_eq!(kind, from_disk.map(|_| ()).map_err(|error| error.kind()), "{path}");
                }
            }
        }
    }
    let mut facts = memory.repositories.commit_facts(&memory.url, same).await.unwrap();
    facts.id = first;
    assert_eq!(facts, world.repositories.commit_facts(&real.url(), first).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_commit_leaves_a_reading_valid_as_a_real_one_does() {
    let (real, first, memory, same) = both();
    let (world, url) = (World::new().await, real.url());
    let read = world.read(&url, first, "apps").await.unwrap().read_set;
    let again = memory.repositories.read(&url, same, &path_of("apps"), &everything()).await.unwrap();
    assert_eq!(again.read_set, read);
    for (files, stands) in [
        (&[("other/b.yaml", "B2"), ("x.yaml", "other")][..], true),
        (&[("shared/ca.yaml", "CA2")], false),
        (&[("shared/ca.yaml", "CA")], true),
        (&[("shared/later.yaml", "L")], false),
    ] {
        let (on_disk, in_memory) = (real.commit(files, "later"), memory.commit(files));
        let now = world.repositories.identify(&url, on_disk, &read).await.unwrap();
        assert_eq!(memory.repositories.identify(&url, in_memory, &read).await.unwrap(), now);
        assert_eq!(now == read, stands, "{files:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn revisions_resolve_as_in_real_ones() {
    let memory = InMemory::shop();
    assert_eq!(memory.head().await, Err(Kind::UnknownRevision), "it is empty");
    let first = memory.commit(&[("a.yaml", "1")]);
    memory.remotes.point(&memory.url, "refs/tags/v1", first);
    memory.remotes.point(&memory.url, "refs/heads/release/1", first);
    let second = memory.commit(&[("a.yaml", "2")]);
    for (revision, want) in [
        ("", Some(second)),
        ("HEAD", Some(second)),
        ("main", Some(second)),
        ("v1", Some(first)),
        ("release/1", Some(first)),
        (&first.to_string(), Some(first)),
        (&first.to_string()[..9], Some(first)),
        ("nope", None),
        (&"0".repeat(40), None),
        ("0000000", None),
    ] {
        let revision = Revision::parse(revision).unwrap();
        let found = memory.repositories.resolve(&memory.url, &revision, Freshness::Now).await;
        let want = want.ok_or(Kind::UnknownRevision);
        assert_eq!(found.map_err(|error| error.kind()), want, "{revision}");
    }
    let nowhere = RepoUrl::parse("https://git.example.com/nowhere.git").unwrap();
    let error = memory.repositories.resolve(&nowhere, &Revision::Head, Freshness::Now).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotARepository);
}

#[tokio::test(start_paused = true)]
async fn edits_make_and_remove_files_directories_and_links() {
    let memory = InMemory::shop();
    memory.commit(&[("a/b.yaml", "1"), ("a/c.yaml", "2"), ("d", "3"), ("e/f", "4")]);
    let edits = vec![
        ("a".to_owned(), Edit::Remove),
        ("d/now/deeper".to_owned(), write("5")),
        ("e".to_owned(), write("6")),
        ("nothing".to_owned(), Edit::Remove),
    ];
    let second = memory.remotes.commit(&memory.url, "main", &commit("second", edits));
    let files = BTreeMap::from([("d/now/deeper".to_owned(), b"5".to_vec()), ("e".to_owned(), b"6".to_vec())]);
    assert_eq!(memory.remotes.files(second), files);
    let tree = memory.repositories.read(&memory.url, second, &path_of("."), &everything()).await.unwrap();
    assert_eq!(names(&tree), ["d/now/deeper", "e"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_fetched_is_read_without_the_remote_and_after_a_crash() {
    let memory = InMemory::shop();
    let first = memory.commit(&[("a.yaml", "1")]);
    assert_eq!(memory.text(first, "a.yaml").await.as_deref(), Ok(b"1".as_slice()));
    let second = memory.commit(&[("a.yaml", "2")]);
    for (outage, kind) in [
        (Outage::Unreachable, Kind::Unreachable),
        (Outage::Refused, Kind::Authentication),
        (Outage::NotFound, Kind::NotARepository),
    ] {
        memory.remotes.set_conduct(&memory.url, Conduct { outage: Some(outage), ..Conduct::default() });
        assert_eq!(memory.head().await, Err(kind));
        assert_eq!(memory.text(second, "a.yaml").await, Err(kind));
        assert!(memory.text(first, "a.yaml").await.is_ok());
    }
    let again = Repositories::in_memory(memory.remotes.clone(), memory.mirrors.clone());
    assert!(again.read(&memory.url, first, &path_of("."), &everything()).await.is_ok());
    let elsewhere = Repositories::in_memory(memory.remotes.clone(), MemoryMirrors::new());
    assert!(elsewhere.read(&memory.url, first, &path_of("."), &everything()).await.is_err());
    memory.remotes.set_conduct(&memory.url, Conduct::default());
    assert_eq!(memory.head().await, Ok(second));
}

#[tokio::test(start_paused = true)]
async fn a_slow_remote_takes_simulated_time_and_tells_what_was_there_when_it_was_asked() {
    let memory = InMemory::shop();
    let first = memory.commit(&[("a.yaml", "1")]);
    let slow = |seconds| Conduct { delay: Duration::from_secs(seconds), ..Conduct::default() };
    memory.remotes.set_conduct(&memory.url, slow(7));
    let begun = Instant::now();
    let later = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        memory.commit(&[("a.yaml", "2")])
    };
    let (head, second) = tokio::join!(memory.head(), later);
    assert_eq!((head, begun.elapsed()), (Ok(first), Duration::from_secs(7)));
    assert_eq!(memory.head().await, Ok(second));
    memory.remotes.set_conduct(&memory.url, slow(100_000));
    assert_eq!(memory.head().await, Err(Kind::TimedOut));
    assert_eq!(memory.remotes.n_trips(&memory.url), 3);
}

#[tokio::test(start_paused = true)]
async fn a_remote_that_fell_behind_shows_what_it_had() {
    let memory = InMemory::shop();
    let first = memory.commit(&[("a.yaml", "1")]);
    memory.remotes.set_conduct(&memory.url, Conduct { is_stale: true, ..Conduct::default() });
    let second = memory.commit(&[("a.yaml", "2")]);
    assert_eq!(memory.head().await, Ok(first));
    memory.remotes.set_conduct(&memory.url, Conduct::default());
    assert_eq!(memory.head().await, Ok(second));
}

#[tokio::test(start_paused = true)]
async fn a_push_by_force_leaves_what_was_there_readable() {
    let memory = InMemory::shop();
    let base = memory.commit(&[("a.yaml", "1")]);
    let lost = memory.commit(&[("a.yaml", "2"), ("b.yaml", "only there")]);
    let edits = vec![("a.yaml".to_owned(), write("3"))];
    let pushed = memory.remotes.commit_upon(&memory.url, &[base], &commit("over it", edits));
    assert_eq!(memory.head().await, Ok(lost), "no branch leads to it yet");
    memory.remotes.point(&memory.url, "refs/heads/main", pushed);
    assert_eq!(memory.head().await, Ok(pushed));
    assert_eq!(memory.remotes.files(pushed).len(), 1);
    assert_eq!(memory.text(pushed, "a.yaml").await.as_deref(), Ok(b"3".as_slice()));
    assert_eq!(memory.text(lost, "b.yaml").await.as_deref(), Ok(b"only there".as_slice()));
    memory.remotes.remove(&memory.url, "refs/heads/main");
    assert_eq!(memory.head().await, Err(Kind::UnknownRevision));
}
