//! Tests of addresses, revisions, paths and identities.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn spellings_of_one_repository_have_one_key() {
    let same = [
        "https://GitHub.com/Acme/shop.git",
        "https://github.com/Acme/shop",
        "https://github.com:443/Acme/shop/",
        "https://bot:tok3n@github.com/Acme/shop.git",
    ];
    for text in same {
        assert_eq!(RepoUrl::parse(text).unwrap().normalised(), "https://github.com/Acme/shop", "{text}");
    }
    for text in [
        "git@Example.com:Acme/shop.git",
        "ssh://git@example.com/Acme/shop",
        "ssh://git@example.com:22/Acme/shop",
    ] {
        assert_eq!(RepoUrl::parse(text).unwrap().normalised(), "ssh://git@example.com/Acme/shop", "{text}");
    }
    for text in ["/srv/git/shop.git", "file:///srv/git/shop.git", "file:///srv/git/shop.git/"] {
        assert_eq!(RepoUrl::parse(text).unwrap().normalised(), "file:///srv/git/shop.git", "{text}");
    }
}

#[test]
fn credentials_are_kept_and_never_printed() {
    let url = RepoUrl::parse("https://bot:s%40crit@git.example.com/acme/shop.git").unwrap();
    let credentials = url.credentials().unwrap();
    assert_eq!(credentials.username.expose(), "bot");
    assert_eq!(credentials.password.expose(), "s@crit");
    assert_eq!(url.as_str(), "https://git.example.com/acme/shop.git");
    for printed in
        [format!("{url}"), format!("{url:?}"), format!("{credentials:?}"), url.normalised().to_owned()]
    {
        assert!(!printed.contains("crit") && !printed.contains("bot"), "{printed}");
    }
    let url = RepoUrl::parse("ssh://git:hunter2@git.example.com/acme/shop").unwrap();
    assert_eq!(url.to_string(), "ssh://git@git.example.com/acme/shop");
}

#[test]
fn dangerous_and_unknown_addresses_are_refused() {
    for text in [
        "",
        " ",
        "--upload-pack=touch x",
        "ext::sh -c touch% x",
        "ext::sh",
        "oci://registry/chart",
        "ftp://host/path",
        "https://",
        "https://host",
        "https://user@/path",
        "ssh://-oProxyCommand=x/path",
        "-oProxyCommand=x:path",
        "relative/path",
        "file://relative",
        "https://host/a\nb",
        "git@host:",
        "https://bot:x%0Ahost=evil@host/path",
    ] {
        assert!(RepoUrl::parse(text).is_err(), "{text:?}");
    }
    let error = RepoUrl::parse("oci://user:tok3n@registry/chart").unwrap_err();
    assert!(!error.to_string().contains("tok3n"), "{error}");
}

#[test]
fn revisions_are_head_or_a_name() {
    assert_eq!(Revision::parse("").unwrap(), Revision::Head);
    assert_eq!(Revision::parse("HEAD").unwrap(), Revision::Head);
    for name in
        ["main", "release/1.2", "v1.0.0", "refs/heads/main", "0123456789abcdef0123456789abcdef01234567"]
    {
        assert_eq!(Revision::parse(name).unwrap().as_str(), name);
    }
    for constraint in ["1.*", ">=1.0.0", "~1.2", "^2", ">1 <2"] {
        assert!(matches!(Revision::parse(constraint), Err(RevisionError::Constraint(_))), "{constraint}");
    }
    for bad in
        ["-x", "a..b", "main@{1}", "a:b", "/main", "main/", ".hidden", "a/.b", "x.lock", "a\\b", "a\nb"]
    {
        assert!(matches!(Revision::parse(bad), Err(RevisionError::NotAName(_))), "{bad}");
    }
}

#[test]
fn paths_stay_inside_the_repository() {
    for (text, want) in
        [("", ""), (".", ""), ("./a/b/", "a/b"), ("a//b", "a/b"), ("a/../b", "b"), ("a/..", "")]
    {
        assert_eq!(SourcePath::parse(text).unwrap().as_str(), want, "{text:?}");
    }
    assert!(matches!(SourcePath::parse("/etc"), Err(SourcePathError::Absolute(_))));
    assert!(matches!(SourcePath::parse("a/../../b"), Err(SourcePathError::Outside(_))));
    assert_eq!(SourcePath::parse("a").unwrap().join("b.yaml"), "a/b.yaml");
    assert_eq!(SourcePath::default().join("b.yaml"), "b.yaml");
    assert_eq!(SourcePath::default().to_string(), ".");
}

#[test]
fn ids_are_forty_hexadecimal_digits() {
    let text = "0123456789abcdef0123456789ABCDEF01234567";
    let id: CommitId = text.parse().unwrap();
    assert_eq!(id.to_string(), text.to_lowercase());
    assert_eq!(id.short(), "0123456");
    for bad in
        ["", "0123", "g123456789abcdef0123456789abcdef01234567", "0123456789abcdef0123456789abcdef012345678"]
    {
        assert_eq!(bad.parse::<CommitId>(), Err(IdError), "{bad}");
    }
}

#[test]
fn a_read_set_differs_when_anything_read_differs() {
    let tree: TreeId = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
    let mut before = ReadSet::new();
    before.insert("apps/shop", ReadId::Tree(tree));
    let mut after = before.clone();
    assert_eq!(before, after);
    after.insert("shared/ca.yaml", ReadId::Absent);
    assert_ne!(before, after);
}
