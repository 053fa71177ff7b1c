//! The fold, fed by hand.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn store() -> KindStore {
    KindStore::new(Gvk::new("", "v1", "ConfigMap"))
}

fn name(name: &str) -> ObjectName {
    ObjectName { namespace: "web".into(), name: name.into() }
}

fn object(store: &KindStore, name: &str, uid: &str, version: u64, interest: &Interest) -> Delivered {
    let json = format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"web","uid":"{uid}","resourceVersion":"{version}"}},"data":{{"a":"b"}}}}"#
    );
    let head = Head::read(store.gvk(), json.as_bytes()).unwrap();
    let object_name = ObjectName::of(&head.key);
    Delivered { name: object_name, content: Content::of(store.gvk(), head, interest, json.as_bytes()) }
}

fn shop() -> Interest {
    Interest::Tracked("shop".into())
}

fn listed(store: &mut KindStore, objects: Vec<Delivered>, now: i64) -> Folded {
    store.fold(Delivery::ListStarted, at(now));
    let mut folded = store.fold(Delivery::Listed(objects), at(now));
    let completed = store.fold(Delivery::ListCompleted, at(now));
    folded.objects.extend(completed.objects);
    folded.state |= completed.state;
    folded
}

#[test]
fn a_listing_that_breaks_off_is_never_complete_and_loses_nothing() {
    let mut store = store();
    let (a, b) = (object(&store, "a", "1", 1, &shop()), object(&store, "b", "2", 2, &shop()));
    listed(&mut store, vec![a, b], 10);
    assert_eq!(*store.state(), KindState::Complete { at: at(10) });

    store.fold(Delivery::ListStarted, at(20));
    let newer = object(&store, "a", "1", 5, &shop());
    store.fold(Delivery::Listed(vec![newer]), at(20));
    let folded = store.fold(Delivery::Failed(Cause::Server("page 2 failed".into())), at(21));
    assert!(folded.state && folded.objects.is_empty());
    // Incomplete since the listing began, resting on the listing before.
    assert_eq!(
        *store.state(),
        KindState::Incomplete {
            since: at(20),
            before: Some(at(10)),
            cause: Cause::Server("page 2 failed".into())
        }
    );
    assert!(store.get(&name("b")).is_some(), "an object is not gone because a page failed");

    // It stays incomplete since then, however often it is tried.
    store.fold(Delivery::ListStarted, at(30));
    assert_eq!(*store.state(), KindState::Listing { since: at(20), before: Some(at(10)) });
}

#[test]
fn a_complete_listing_drops_what_it_did_not_see() {
    let mut store = store();
    let (a, b) = (object(&store, "a", "1", 1, &shop()), object(&store, "b", "2", 2, &shop()));
    listed(&mut store, vec![a, b], 10);
    let a = object(&store, "a", "1", 1, &shop());
    let folded = listed(&mut store, vec![a], 20);
    assert_eq!(folded.objects, [ResourceKey::new("", "ConfigMap", "web", "b")]);
    assert_eq!(store.tracked_by("shop").count(), 1);
}

#[test]
fn watch_events_move_objects_forward_only() {
    let mut store = store();
    let a = object(&store, "a", "1", 5, &shop());
    listed(&mut store, vec![a], 10);
    let folded = store.fold(Delivery::Written(object(&store, "a", "1", 4, &shop())), at(11));
    assert_eq!(folded, Folded::default());
    let stale = Delivery::Deleted { name: name("a"), resource_version: "4".into() };
    assert_eq!(store.fold(stale, at(11)), Folded::default());
    let folded = store.fold(Delivery::Written(object(&store, "a", "1", 9, &shop())), at(11));
    assert_eq!(folded.objects.len(), 1);
    assert!(!folded.state);
    let deleted = Delivery::Deleted { name: name("a"), resource_version: "12".into() };
    assert_eq!(store.fold(deleted, at(12)).objects.len(), 1);
    assert!(store.is_empty());
    // Made again under the same name: another object.
    store.fold(Delivery::Written(object(&store, "a", "2", 13, &shop())), at(13));
    assert_eq!(store.tracked_by("shop").next().unwrap().1.uid, Uid::of("2"));
}

#[test]
fn objects_of_nobody_are_versions_until_they_are_needed() {
    let mut store = store();
    let a = object(&store, "a", "1", 5, &Interest::None);
    let folded = listed(&mut store, vec![a], 10);
    assert!(folded.objects.is_empty() && folded.any);
    assert!(matches!(store.get(&name("a")), Some(Content::Version(version)) if version == "5"));

    // Read beside the watch: an older or vanished one is not taken.
    assert_eq!(store.complete(object(&store, "a", "1", 4, &Interest::Named)), Folded::default());
    assert_eq!(store.complete(object(&store, "b", "1", 6, &Interest::Named)), Folded::default());
    assert_eq!(store.complete(object(&store, "a", "1", 5, &Interest::Named)).objects.len(), 1);
    assert_eq!(store.whole().count(), 1);
}

#[test]
fn the_tracking_index_follows_the_mark() {
    let mut store = store();
    let a = object(&store, "a", "1", 5, &shop());
    listed(&mut store, vec![a], 10);
    let moved = object(&store, "a", "1", 6, &Interest::Tracked("other".into()));
    store.fold(Delivery::Written(moved), at(11));
    assert_eq!(store.tracked_by("shop").count(), 0);
    assert_eq!(store.tracked_by("other").count(), 1);
    let bare = object(&store, "a", "1", 7, &Interest::None);
    // Losing the mark is a change of an object that had content.
    assert_eq!(store.fold(Delivery::Written(bare), at(12)).objects.len(), 1);
    assert_eq!(store.tracked_by("other").count(), 0);
}

#[test]
fn a_kind_that_is_not_served_has_no_objects() {
    let mut store = store();
    let a = object(&store, "a", "1", 5, &shop());
    listed(&mut store, vec![a], 10);
    let folded = store.fold(Delivery::NotServed, at(20));
    assert_eq!(folded.objects.len(), 1);
    assert!(store.state().is_complete());
    assert!(!store.fold(Delivery::NotServed, at(30)).state);
    assert_eq!(*store.state(), KindState::NotServed { since: at(20) });
}
