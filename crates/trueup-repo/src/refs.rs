//! The references of a remote, as `git ls-remote` prints them, and what a revision means among them.

use trueup_engine::source::{CommitId, Revision};

/// The shortest abbreviation of a commit that is taken for one; git's own default and Argo CD's.
const ABBREVIATION_DIGITS_MIN: usize = 7;

/// A commit has this many hexadecimal digits.
const COMMIT_DIGITS: usize = 40;

/// The answer of one `ls-remote`. Kept as text: a repository can have a hundred thousand references, and few are asked
/// about.
#[derive(Debug)]
pub struct Listing {
    text: String,
}

/// What a revision is, as far as its spelling and a listing tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    Commit(CommitId),
    /// The start of a commit's id, to be looked up in the mirror.
    Abbreviation(String),
    Nothing,
}

/// The commit that a revision spells out in full.
pub fn full_commit(revision: &Revision) -> Option<CommitId> {
    match revision {
        Revision::Head => None,
        Revision::Named(name) => name.parse().ok(),
    }
}

impl Listing {
    pub fn new(stdout: Vec<u8>) -> Self {
        Self { text: String::from_utf8_lossy(&stdout).into_owned() }
    }

    /// Branches go before tags of the same name, as in Argo CD; a tag means the commit that it points to.
    pub fn find(&self, revision: &Revision) -> Meaning {
        let name = match revision {
            Revision::Head => return self.commit_of("HEAD").map_or(Meaning::Nothing, Meaning::Commit),
            Revision::Named(name) => name.as_str(),
        };
        let full_names = if name.starts_with("refs/") {
            vec![name.to_owned()]
        } else {
            vec![format!("refs/heads/{name}"), format!("refs/tags/{name}"), format!("refs/{name}")]
        };
        for full_name in full_names {
            let commit = self.commit_of(&format!("{full_name}^{{}}")).or_else(|| self.commit_of(&full_name));
            if let Some(commit) = commit {
                return Meaning::Commit(commit);
            }
        }
        let is_abbreviation = (ABBREVIATION_DIGITS_MIN..COMMIT_DIGITS).contains(&name.len())
            && name.bytes().all(|letter| letter.is_ascii_hexdigit());
        if is_abbreviation { Meaning::Abbreviation(name.to_ascii_lowercase()) } else { Meaning::Nothing }
    }

    fn commit_of(&self, full_name: &str) -> Option<CommitId> {
        self.text
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .find(|(id, name)| *name == full_name && !id.starts_with("ref: "))
            .and_then(|(id, _)| id.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn id(digit: char) -> String {
        digit.to_string().repeat(COMMIT_DIGITS)
    }

    fn listing() -> Listing {
        let lines = [
            "ref: refs/heads/main\tHEAD".to_owned(),
            format!("{}\tHEAD", id('1')),
            format!("{}\trefs/heads/main", id('1')),
            format!("{}\trefs/heads/release/1.2", id('2')),
            format!("{}\trefs/heads/both", id('3')),
            format!("{}\trefs/pull/7/head", id('4')),
            format!("{}\trefs/tags/both", id('5')),
            format!("{}\trefs/tags/v1", id('6')),
            format!("{}\trefs/tags/v1^{{}}", id('7')),
            format!("{}\trefs/heads/abcdef0", id('8')),
        ];
        Listing::new(lines.join("\n").into_bytes())
    }

    fn find(text: &str) -> Meaning {
        listing().find(&Revision::parse(text).unwrap())
    }

    #[test]
    fn names_mean_commits() {
        for (text, digit) in [
            ("", '1'),
            ("HEAD", '1'),
            ("main", '1'),
            ("release/1.2", '2'),
            ("both", '3'),
            ("refs/tags/both", '5'),
            ("refs/pull/7/head", '4'),
            ("pull/7/head", '4'),
            ("v1", '7'),
            ("refs/tags/v1", '7'),
            ("abcdef0", '8'),
        ] {
            assert_eq!(find(text), Meaning::Commit(id(digit).parse().unwrap()), "{text:?}");
        }
    }

    #[test]
    fn other_texts_are_abbreviations_or_nothing() {
        assert_eq!(find("ABCDEF1"), Meaning::Abbreviation("abcdef1".to_owned()));
        assert_eq!(find("abcdef"), Meaning::Nothing);
        assert_eq!(find("nope"), Meaning::Nothing);
        assert_eq!(find("release"), Meaning::Nothing);
        assert_eq!(Listing::new(Vec::new()).find(&Revision::Head), Meaning::Nothing);
    }
}
