//! Stories played whole: those that once failed, one that is played twice, and some in which something is done wrong on purpose.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use trueup_simulation::generate::generate;
use trueup_simulation::judge::Property;
use trueup_simulation::story::Story;
use trueup_simulation::{Play, Sabotage, play};

/// Steps of a story that is played for what it is, not for what it finds.
const STEPS: usize = 25;

#[test]
fn stories_that_once_failed_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stories");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let story = Story::from_json(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let outcome = play(&story, Play::default());
        assert_eq!(outcome.violations, [], "{}", file.display());
    }
}

#[test]
fn a_story_goes_the_same_way_twice() {
    let story = generate(11, STEPS);
    let keeping = Play { keeps_trace: true, ..Play::default() };
    let (one, other) = (play(&story, keeping), play(&story, keeping));
    assert!(one.trace.len() > 100, "{}", one.trace.len());
    assert_eq!(one.trace, other.trace);
    assert_eq!(one.digest, other.digest);
    assert_ne!(one.digest, play(&generate(12, STEPS), Play::default()).digest);
}

#[test]
fn what_is_done_wrong_on_purpose_is_noticed() {
    let story = generate(11, STEPS);
    for (sabotage, property) in
        [(Sabotage::BlindLedger, Property::RecordedBefore), (Sabotage::ForgedLease, Property::OneActs)]
    {
        let violations = play(&story, Play { sabotage, ..Play::default() }).violations;
        assert!(violations.iter().any(|it| it.property == property), "{sabotage:?}: {violations:?}");
    }
}
