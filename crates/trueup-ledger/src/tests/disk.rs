//! The disk in memory: delays, refusals, crashes before and after a write, and what is seen from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{app, deployment, entry, intent, memory, observed, remember, scaled};
use crate::{Entry, Fact, Ledger, LedgerError, MemoryDisk, Seq, Write, WriteFate};

const SECOND: Duration = Duration::from_secs(1);

fn write(second: i64) -> Vec<Write> {
    vec![Write::Entry(Box::new(entry(second, observed("something"))))]
}

fn seqs(entries: &[Entry]) -> Vec<i64> {
    entries.iter().map(|entry| entry.seq.number()).collect()
}

/// Whether an answer comes in the next hour.
async fn is_answered(answer: impl Future<Output = Result<Vec<Seq>, LedgerError>>) -> bool {
    tokio::time::timeout(Duration::from_secs(3600), answer).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn what_was_intended_is_seen_from_outside_at_once() {
    let disk = MemoryDisk::new([1; 32]);
    let ledger = Ledger::in_memory(&disk);
    let handed_over = ledger.hand_over(vec![Write::Entry(Box::new(intent(1, Some(scaled(9)))))]).await;
    let open = disk.unfinished().unwrap();
    assert_eq!(seqs(&open), [1]);
    let evidence = disk.evidence(open[0].seq).unwrap().unwrap();
    assert_eq!(evidence.live.int_at(&["spec", "replicas"]), Some(9));
    assert_eq!(handed_over.unwrap().written().await, Ok(vec![open[0].seq]));
    ledger.write(vec![remember(deployment(), memory(1, "x"))]).await.unwrap();
    assert_eq!(disk.memory(&app()).unwrap(), ledger.memory(&app()).await.unwrap());
    assert_eq!(*ledger.key().as_bytes(), [1; 32]);
    assert_eq!(ledger.id(), Ledger::in_memory(&disk).id());
}

#[tokio::test(start_paused = true)]
async fn a_slow_disk_holds_up_what_comes_behind_it() {
    let disk = MemoryDisk::new([1; 32]);
    disk.on_write(|write| match write.number {
        2 => WriteFate::MadeAfter(SECOND),
        _ => WriteFate::Made,
    });
    let ledger = Ledger::in_memory(&disk);
    let begun = Instant::now();
    ledger.write(write(1)).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let slow = ledger.hand_over(write(2)).await.unwrap();
    let behind = ledger.hand_over(write(3)).await.unwrap();
    assert_eq!(seqs(&disk.entries_after(None).unwrap()), [1]);
    assert_eq!(behind.written().await, Ok(vec![Seq::new(3)]));
    assert_eq!(begun.elapsed(), SECOND);
    assert_eq!(slow.written().await, Ok(vec![Seq::new(2)]));
    assert_eq!(seqs(&disk.entries_after(Some(Seq::new(1))).unwrap()), [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_is_made_at_its_time_and_before_the_ledger_is_closed() {
    let disk = MemoryDisk::new([1; 32]);
    disk.on_write(|_| WriteFate::MadeAfter(SECOND));
    let ledger = Ledger::in_memory(&disk);
    drop(ledger.hand_over(write(1)).await.unwrap());
    tokio::time::advance(SECOND).await;
    assert_eq!(seqs(&ledger.after(None, 10).await.unwrap()), [1]);
    drop(ledger.hand_over(write(2)).await.unwrap());
    ledger.close().await;
    assert_eq!(seqs(&disk.entries_after(None).unwrap()), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_and_one_that_cannot_be_read_are_told() {
    let disk = MemoryDisk::new([1; 32]);
    let ledger = Ledger::in_memory(&disk);
    disk.on_write(|_| WriteFate::Refused("No space left on device".to_owned()));
    let error = ledger.write(write(1)).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("No space left"), "{error}");
    disk.refuse_reads(Some("Input/output error"));
    let error = ledger.memory(&app()).await.unwrap_err();
    assert!(error.to_string().contains("Input/output error"), "{error}");
    assert!(disk.entries_after(None).unwrap().is_empty(), "who looks from outside is not refused");
    disk.heal();
    ledger.write(write(2)).await.unwrap();
    assert_eq!(seqs(&ledger.after(None, 10).await.unwrap()), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_crash_comes_before_a_write_or_after_it() {
    for (fate, kept) in [(WriteFate::CrashBefore, vec![1]), (WriteFate::CrashAfter, vec![1, 2])] {
        let disk = MemoryDisk::new([1; 32]);
        let ledger = Arc::new(Ledger::in_memory(&disk));
        ledger.write(write(1)).await.unwrap();
        let told = fate.clone();
        disk.on_write(move |_| told.clone());
        assert!(!is_answered(ledger.write(write(2))).await, "{fate:?}");
        disk.heal();
        // The old process is not there any more, whatever of it is still being polled.
        assert!(!is_answered(ledger.write(write(3))).await, "{fate:?}");
        let reading = tokio::time::timeout(SECOND, ledger.unfinished());
        assert!(reading.await.is_err(), "{fate:?}");
        let after = Ledger::in_memory(&disk);
        assert_eq!(seqs(&after.after(None, 10).await.unwrap()), kept, "{fate:?}");
        after.write(write(4)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_still_waited_is_lost_in_a_crash_unless_something_behind_it_was_made() {
    for (second, kept) in [(WriteFate::CrashBefore, vec![]), (WriteFate::CrashAfter, vec![1, 2])] {
        let disk = MemoryDisk::new([1; 32]);
        let ledger = Ledger::in_memory(&disk);
        let fate = second.clone();
        disk.on_write(move |write| match write.number {
            1 => WriteFate::MadeAfter(SECOND),
            _ => fate.clone(),
        });
        let waiting = ledger.hand_over(write(1)).await.unwrap();
        drop(ledger.hand_over(write(2)).await.unwrap());
        assert!(!is_answered(waiting.written()).await, "{second:?}");
        assert_eq!(seqs(&disk.entries_after(None).unwrap()), kept, "{second:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_decides_sees_what_is_written_and_may_look_at_the_disk() {
    let disk = MemoryDisk::new([1; 32]);
    let (seen, looking) = (Arc::new(AtomicU64::new(0)), disk.clone());
    let counted = seen.clone();
    disk.on_write(move |write| {
        let before = looking.entries_after(None).unwrap().len() as u64;
        let intents = write.writes.iter().filter(
            |write| matches!(write, Write::Entry(entry) if matches!(entry.fact, Fact::Intended { .. })),
        );
        counted.fetch_add(before * 100 + intents.count() as u64, Ordering::Relaxed);
        WriteFate::Made
    });
    let ledger = Ledger::in_memory(&disk);
    ledger.write(write(1)).await.unwrap();
    ledger.append(intent(2, None)).await.unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), 101);
}
