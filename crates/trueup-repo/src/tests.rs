//! Tests against real bare repositories, over `file://` and over HTTP.
#![expect(clippy::unwrap_used, reason = "tests")]

mod http;
mod memory;
mod remote;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use trueup_engine::source::{
    CommitId, Interest, ReadFilter, ReadId, RepoUrl, Revision, SkipReason, SourceErrorKind as Kind,
    SourcePath, SourceTree,
};

use crate::{Freshness, Repositories, RepositoriesOptions, SourceError};
use remote::Remote;

/// A state directory and what runs on it.
struct World {
    state: TempDir,
    repositories: Repositories,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut RepositoriesOptions)) -> Self {
        let state = TempDir::new().unwrap();
        let mut options = RepositoriesOptions::new(state.path().join("mirrors"));
        change(&mut options);
        let repositories = Repositories::open(options).await.unwrap();
        Self { state, repositories }
    }

    async fn resolve(&self, repo: &RepoUrl, revision: &str) -> Result<CommitId, SourceError> {
        self.repositories.resolve(repo, &Revision::parse(revision).unwrap(), Freshness::Now).await
    }

    async fn read(&self, repo: &RepoUrl, commit: CommitId, path: &str) -> Result<SourceTree, SourceError> {
        self.repositories.read(repo, commit, &path_of(path), &everything()).await
    }

    fn mirrors(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.state.path().join("mirrors")).unwrap();
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
        paths.sort();
        paths
    }
}

fn path_of(text: &str) -> SourcePath {
    SourcePath::parse(text).unwrap()
}

fn everything() -> ReadFilter {
    ReadFilter { recurse: true, interest: Arc::new(|_| Interest::Content), bytes_max: 10 << 20 }
}

fn names(tree: &SourceTree) -> Vec<&str> {
    tree.files.iter().map(|file| file.path.as_str()).collect()
}

fn content<'a>(tree: &'a SourceTree, path: &str) -> &'a [u8] {
    &tree.files.iter().find(|file| file.path == path).unwrap().bytes
}

/// A program that notes its arguments and then does what git does.
fn recording_git(directory: &Path) -> (PathBuf, PathBuf) {
    let (program, record) = (directory.join("recording-git"), directory.join("record"));
    fs::write(&record, "").unwrap();
    fs::write(&program, format!("#!/bin/sh\necho \"$@\" >> '{}'\nexec git \"$@\"\n", record.display()))
        .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    (program, record)
}

fn n_runs(record: &Path, command: &str) -> usize {
    let record = fs::read_to_string(record).unwrap();
    record.lines().filter(|line| line.split(' ').any(|word| word == command)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn revisions_resolve() {
    let remote = Remote::new();
    let first = remote.commit(&[("apps/a.yaml", "a: 1")], "first");
    remote.git(&["tag", "-a", "v1", "-m", "one"]);
    remote.git(&["branch", "release/1"]);
    remote.git(&["push", "--quiet", "origin", "v1", "release/1"]);
    let second = remote.commit(&[("apps/a.yaml", "a: 2")], "second");
    let world = World::new().await;
    for (revision, want) in [
        ("", second),
        ("HEAD", second),
        ("main", second),
        ("refs/heads/main", second),
        ("v1", first),
        ("release/1", first),
        (&first.to_string(), first),
        (&first.to_string()[..9], first),
    ] {
        assert_eq!(world.resolve(&remote.url(), revision).await, Ok(want), "{revision:?}");
    }
    for revision in ["nope", "release", &"0".repeat(40), "0000000"] {
        let error = world.resolve(&remote.url(), revision).await.unwrap_err();
        assert_eq!(error.kind(), Kind::UnknownRevision, "{revision}: {error}");
        assert!(error.to_string().contains(revision), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_repository_has_no_head() {
    let remote = Remote::new();
    let world = World::new().await;
    let error = world.resolve(&remote.url(), "HEAD").await.unwrap_err();
    assert_eq!(error.kind(), Kind::UnknownRevision);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_read_in_the_order_of_a_walk() {
    let remote = Remote::new();
    let files = [
        ("apps/a.yaml", "A"),
        ("apps/a/z.yaml", "Z"),
        ("apps/b.json", "B"),
        ("apps/README.md", "R"),
        ("x.yaml", "X"),
    ];
    let commit = remote.commit(&files, "first");
    let world = World::new().await;
    let tree = world.read(&remote.url(), commit, "apps").await.unwrap();
    assert_eq!(names(&tree), ["README.md", "a/z.yaml", "a.yaml", "b.json"]);
    assert_eq!(tree.root_names, ["README.md", "a", "a.yaml", "b.json"]);
    assert_eq!(content(&tree, "a/z.yaml"), b"Z");
    assert_eq!(tree.tree, world.repositories.tree_id(&remote.url(), commit, &path_of("apps")).await.unwrap());
    let root = world.read(&remote.url(), commit, ".").await.unwrap();
    assert_eq!(root.files.len(), 5);

    let filter = ReadFilter {
        recurse: false,
        interest: Arc::new(|path| match path.rsplit('.').next() {
            Some("yaml") => Interest::Content,
            Some("json") => Interest::Name,
            _ => Interest::Nothing,
        }),
        bytes_max: 10,
    };
    let tree = world.repositories.read(&remote.url(), commit, &path_of("apps"), &filter).await.unwrap();
    assert_eq!((names(&tree), tree.named.as_slice()), (vec!["a.yaml"], ["b.json".into()].as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_too_large_is_told_apart() {
    let remote = Remote::new();
    let commit = remote.commit(&[("apps/a.yaml", "12345"), ("apps/b.yaml", "67890")], "first");
    let world = World::new().await;
    let kind = |outcome: Result<SourceTree, SourceError>| outcome.unwrap_err().kind();
    assert_eq!(kind(world.read(&remote.url(), commit, "nope").await), Kind::MissingPath);
    assert_eq!(kind(world.read(&remote.url(), commit, "apps/a.yaml/x").await), Kind::MissingPath);
    assert_eq!(kind(world.read(&remote.url(), commit, "apps/a.yaml").await), Kind::NotADirectory);
    let unknown: CommitId = "1".repeat(40).parse().unwrap();
    assert_eq!(kind(world.read(&remote.url(), unknown, "apps").await), Kind::UnknownRevision);
    let small = ReadFilter { bytes_max: 9, ..everything() };
    let error = world.repositories.read(&remote.url(), commit, &path_of("apps"), &small).await.unwrap_err();
    assert_eq!(error.kind(), Kind::TooLarge);
    let enough = ReadFilter { bytes_max: 10, ..everything() };
    assert!(world.repositories.read(&remote.url(), commit, &path_of("apps"), &enough).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_followed_inside_the_repository_only() {
    let remote = Remote::new();
    remote.write("shared/ca.yaml", "CA");
    remote.write("real/a.yaml", "A");
    for (link, target) in [
        ("real/ca.yaml", "../shared/ca.yaml"),
        ("real/twice.yaml", "ca.yaml"),
        ("real/etc.yaml", "/etc/passwd"),
        ("real/up.yaml", "../../../etc/passwd"),
        ("real/broken.yaml", "nope.yaml"),
        ("real/loop.yaml", "loop.yaml"),
        ("real/directory.yaml", "../shared"),
        ("current", "real"),
    ] {
        remote.link(link, target);
    }
    let commit = remote.commit(&[], "links");
    let world = World::new().await;
    let tree = world.read(&remote.url(), commit, "current").await.unwrap();
    assert_eq!(names(&tree), ["a.yaml", "ca.yaml", "twice.yaml"]);
    assert_eq!(content(&tree, "twice.yaml"), b"CA");
    let skipped: Vec<(&str, bool)> = tree
        .skipped
        .iter()
        .map(|entry| (entry.path.as_str(), matches!(entry.reason, SkipReason::LinkOutside { .. })))
        .collect();
    let want = [
        ("broken.yaml", false),
        ("directory.yaml", false),
        ("etc.yaml", true),
        ("loop.yaml", false),
        ("up.yaml", true),
    ];
    assert_eq!(skipped, want);
    assert!(tree.skipped[2].to_string().contains("/etc/passwd"), "{}", tree.skipped[2]);
    let read: BTreeSet<&str> = tree.read_set.paths().collect();
    for path in ["current", "real", "shared/ca.yaml", "real/nope.yaml"] {
        assert!(read.contains(path), "{path} is not in {read:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submodule_is_named_and_not_read() {
    let remote = Remote::new();
    remote.commit(&[("apps/a.yaml", "A")], "first");
    let commit = remote.commit_submodule("apps/module");
    let world = World::new().await;
    let tree = world.read(&remote.url(), commit, "apps").await.unwrap();
    assert_eq!(names(&tree), ["a.yaml"]);
    assert_eq!(tree.skipped[0].reason, SkipReason::Submodule);
    let error = world.read(&remote.url(), commit, "apps/module").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_touches_nothing_read_leaves_the_reading_valid() {
    let remote = Remote::new();
    remote.write("shared/ca.yaml", "CA");
    remote.link("apps/ca.yaml", "../shared/ca.yaml");
    remote.link("apps/later.yaml", "../shared/later.yaml");
    let first = remote.commit(&[("apps/a.yaml", "A"), ("other/b.yaml", "B")], "first");
    let world = World::new().await;
    let url = remote.url();
    let read = world.read(&url, first, "apps").await.unwrap().read_set;
    assert_eq!(world.repositories.identify(&url, first, &read).await.unwrap(), read);
    let other = remote.commit(&[("other/b.yaml", "B2"), ("other/c.yaml", "C")], "elsewhere");
    assert_eq!(world.repositories.identify(&url, other, &read).await.unwrap(), read);
    let shared = remote.commit(&[("shared/ca.yaml", "CA2")], "the linked file");
    assert_ne!(world.repositories.identify(&url, shared, &read).await.unwrap(), read);
    let back = remote.commit(&[("shared/ca.yaml", "CA")], "back");
    assert_eq!(world.repositories.identify(&url, back, &read).await.unwrap(), read);
    let later = remote.commit(&[("shared/later.yaml", "L")], "the link's target appears");
    let now = world.repositories.identify(&url, later, &read).await.unwrap();
    assert_ne!(now, read);
    let changed: Vec<&str> =
        now.iter().zip(read.iter()).filter(|(now, then)| now != then).map(|(now, _)| now.0).collect();
    assert_eq!(changed, ["shared/later.yaml"]);
    assert!(read.iter().any(|(path, id)| path == "shared/later.yaml" && id == ReadId::Absent));
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_of_a_commit_are_told() {
    let remote = Remote::new();
    let commit = remote.commit(&[("a.yaml", "A")], "fix: the subject\n\nand a body");
    let facts = World::new().await.repositories.commit_facts(&remote.url(), commit).await.unwrap();
    assert_eq!(facts.author, "Alice <alice@example.com>");
    assert_eq!(facts.subject, "fix: the subject");
    assert_eq!(facts.time.as_second(), remote::COMMIT_SECONDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_off_every_branch_are_had_and_kept() {
    let remote = Remote::new();
    let base = remote.commit(&[("a.yaml", "1")], "base");
    let world = World::new().await;
    let lost = remote.commit(&[("a.yaml", "2")], "to be lost");
    assert!(world.read(&remote.url(), lost, ".").await.is_ok());
    remote.git(&["reset", "--quiet", "--hard", &base.to_string()]);
    let pushed = remote.commit(&[("a.yaml", "3")], "pushed over it");
    assert_eq!(world.resolve(&remote.url(), "main").await, Ok(pushed));
    assert!(world.read(&remote.url(), pushed, ".").await.is_ok());
    assert_eq!(content(&world.read(&remote.url(), lost, ".").await.unwrap(), "a.yaml"), b"2");

    remote.git(&["checkout", "--quiet", "--detach"]);
    let request = remote.commit_without_push(&[("a.yaml", "4")], "a pull request");
    remote.git(&["push", "--quiet", "origin", "HEAD:refs/pull/7/head"]);
    assert_eq!(world.resolve(&remote.url(), "refs/pull/7/head").await, Ok(request));
    assert_eq!(content(&world.read(&remote.url(), request, ".").await.unwrap(), "a.yaml"), b"4");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_share_trips_to_the_remote() {
    let remote = Remote::new();
    let commit = remote.commit(&[("a.yaml", "1")], "first");
    let programs = TempDir::new().unwrap();
    let (program, record) = recording_git(programs.path());
    let world = Arc::new(World::with(|options| options.git_program = program).await);
    let url = remote.url();
    // All begin before the first has its answer, which was asked for before the others wanted one.
    let found = tokio::join!(
        world.resolve(&url, "main"),
        world.resolve(&url, "main"),
        world.resolve(&url, "HEAD"),
        world.resolve(&url, "main")
    );
    assert_eq!(found, (Ok(commit), Ok(commit), Ok(commit), Ok(commit)));
    assert_eq!(n_runs(&record, "ls-remote"), 2);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (world, url) = (Arc::clone(&world), remote.url());
        tasks.spawn(async move { world.read(&url, commit, ".").await.unwrap().commit });
    }
    assert!(tasks.join_all().await.into_iter().all(|found| found == commit));
    assert_eq!(n_runs(&record, "fetch"), 1);

    let n_before = n_runs(&record, "ls-remote");
    let second = remote.commit(&[("a.yaml", "2")], "second");
    let hour = Freshness::Within(Duration::from_secs(3600));
    let old = world.repositories.resolve(&remote.url(), &Revision::Head, hour).await;
    assert_eq!((old, n_runs(&record, "ls-remote")), (Ok(commit), n_before));
    assert_eq!(world.resolve(&remote.url(), "HEAD").await, Ok(second));
    assert_eq!(n_runs(&record, "ls-remote"), n_before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_a_mirror() {
    let remote = Remote::new();
    let commit = remote.commit(&[("a.yaml", "1")], "first");
    let world = World::new().await;
    let options = RepositoriesOptions::new(world.state.path().join("mirrors"));
    let other = Repositories::open(options).await.unwrap();
    let (url, path, filter) = (remote.url(), path_of("."), everything());
    let both = tokio::join!(
        world.repositories.read(&url, commit, &path, &filter),
        other.read(&url, commit, &path, &filter)
    );
    assert_eq!(both.0.unwrap(), both.1.unwrap());
    assert_eq!(world.mirrors().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_mirror_is_made_anew() {
    let remote = Remote::new();
    let first = remote.commit(&[("a.yaml", "1")], "first");
    let world = World::new().await;
    world.read(&remote.url(), first, ".").await.unwrap();
    let mirror = world.mirrors().pop().unwrap();

    for path in fs::read_dir(mirror.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path()) {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, b"not a pack").unwrap();
    }
    assert_eq!(content(&world.read(&remote.url(), first, ".").await.unwrap(), "a.yaml"), b"1");

    fs::write(mirror.join("config"), b"[core\nthis is no configuration").unwrap();
    let second = remote.commit(&[("a.yaml", "2")], "second");
    assert_eq!(content(&world.read(&remote.url(), second, ".").await.unwrap(), "a.yaml"), b"2");

    fs::remove_dir_all(mirror.join("objects")).unwrap();
    assert_eq!(content(&world.read(&remote.url(), second, ".").await.unwrap(), "a.yaml"), b"2");

    // As a fetch leaves it that was killed while it moved a branch.
    fs::write(mirror.join("refs/heads/main.lock"), b"").unwrap();
    let third = remote.commit(&[("a.yaml", "3")], "third");
    assert_eq!(content(&world.read(&remote.url(), third, ".").await.unwrap(), "a.yaml"), b"3");
    assert_eq!(world.mirrors(), [mirror]);
}

#[tokio::test(flavor = "multi_thread")]
async fn remotes_that_do_not_answer_are_told_apart() {
    let world = World::with(|options| options.list_timeout = Duration::from_millis(500)).await;
    let url = |text: &str| RepoUrl::parse(text).unwrap();
    let error = world.resolve(&url("http://127.0.0.1:1/x.git"), "HEAD").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable, "{error}");
    let error = world.resolve(&url("file:///nowhere/at/all.git"), "HEAD").await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotARepository, "{error}");
    // Accepts connections and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/x.git", silent.local_addr().unwrap());
    let error = world.resolve(&url(&address), "HEAD").await.unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut, "{error}");
    assert!(error.is_retryable());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_old_git_is_told() {
    let state = TempDir::new().unwrap();
    let mut options = RepositoriesOptions::new(state.path().to_owned());
    options.git_program = PathBuf::from("/nowhere/git");
    assert_eq!(Repositories::open(options.clone()).await.unwrap_err().kind(), Kind::ToolMissing);
    let old = state.path().join("old-git");
    fs::write(&old, "#!/bin/sh\necho git version 2.20.1\n").unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
    options.git_program = old;
    let error = Repositories::open(options).await.unwrap_err();
    assert!(error.to_string().contains("2.20.1"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_open_a_private_repository_and_stay_out_of_sight() {
    let remote = Remote::new();
    let commit = remote.commit(&[("a.yaml", "1")], "first");
    let server = http::serve(remote.bare().to_owned(), "bot", "s3cr3t-token").await;
    let programs = TempDir::new().unwrap();
    let (program, record) = recording_git(programs.path());
    let world = World::with(|options| options.git_program = program).await;
    let url = |user_info: &str| {
        RepoUrl::parse(&format!("http://{user_info}{}/shop.git", server.address())).unwrap()
    };

    let error = world.resolve(&url(""), "HEAD").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Authentication, "{error}");
    let error = world.resolve(&url("bot:wrong-token@"), "HEAD").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Authentication, "{error}");
    assert!(!format!("{error} {error:?}").contains("wrong-token"));
    let private = url("bot:s3cr3t-token@");
    assert_eq!(world.resolve(&private, "HEAD").await, Ok(commit));
    assert_eq!(content(&world.read(&private, commit, ".").await.unwrap(), "a.yaml"), b"1");

    assert!(!fs::read_to_string(&record).unwrap().contains("token"));
    for mirror in world.mirrors() {
        for file in ["config", "FETCH_HEAD"] {
            assert!(!fs::read_to_string(mirror.join(file)).unwrap_or_default().contains("s3cr3t"), "{file}");
        }
    }
}

#[test]
fn the_ssh_command_of_a_person_is_used_and_asks_nothing() {
    let of = |given: Option<&str>| {
        let options = RepositoriesOptions::new("mirrors".into()).ssh(given.map(Into::into));
        options.ssh_command.into_string().unwrap()
    };
    assert!(of(None).starts_with("ssh -o BatchMode=yes"));
    assert!(of(Some("/usr/bin/ssh -i key")).starts_with("/usr/bin/ssh -i key -o BatchMode=yes"));
    assert_eq!(of(Some("plink -batch")), "plink -batch");
}
