//! Order, and what is seen when.

use std::sync::Mutex;
use std::time::Duration;

use tokio::task::yield_now;

use super::*;

#[tokio::test]
async fn those_who_wait_are_woken_in_the_order_in_which_they_began() {
    // More than are woken at once.
    const N: usize = 100;
    let sender = Sender::new(0);
    let woken = Arc::new(Mutex::new(Vec::new()));
    let n_waiting = Arc::new(AtomicUsize::new(0));
    let waiters: Vec<_> = (0..N)
        .map(|number| {
            let (mut receiver, woken, n_waiting) = (sender.subscribe(), woken.clone(), n_waiting.clone());
            tokio::spawn(async move {
                n_waiting.fetch_add(1, Ordering::Relaxed);
                assert_eq!(receiver.changed().await, Ok(()));
                woken.lock().map(|mut woken| woken.push(number)).is_ok()
            })
        })
        .collect();
    while n_waiting.load(Ordering::Relaxed) < N {
        yield_now().await;
    }
    sender.send_replace(1);
    for waiter in waiters {
        assert!(waiter.await.is_ok_and(|noted| noted));
    }
    assert_eq!(woken.lock().map(|woken| woken.clone()).unwrap_or_default(), (0..N).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_value_is_seen_once() {
    let (sender, mut receiver) = channel(1);
    let mut other = receiver.clone();
    assert_eq!(sender.send_replace(2), 1);
    sender.send_modify(|value| *value += 1);
    assert!(!sender.send_if_modified(|_| false));
    assert_eq!(receiver.changed().await, Ok(()));
    assert_eq!(*receiver.borrow(), 3);
    assert!(now(receiver.changed()).await.is_none(), "nothing is new");
    assert_eq!(*other.borrow_and_update(), 3);
    assert!(now(other.changed()).await.is_none(), "it was seen");
    drop(sender);
    assert_eq!(receiver.changed().await, Err(Closed));
}

#[tokio::test]
async fn a_value_that_is_wanted_is_waited_for() {
    let (sender, mut receiver) = channel(1);
    assert_eq!(receiver.wait_for(|value| *value == 1).await.map(|value| *value), Ok(1));
    let waiting =
        tokio::spawn(async move { receiver.wait_for(|value| *value > 2).await.map(|value| *value) });
    for value in 2..4 {
        yield_now().await;
        sender.send_replace(value);
    }
    assert!(matches!(waiting.await, Ok(Ok(3))));
}

#[tokio::test]
async fn the_sender_learns_that_nobody_listens() {
    let (sender, receiver) = channel(());
    let other = receiver.clone();
    drop(receiver);
    assert!(now(sender.closed()).await.is_none());
    let waiting = tokio::spawn(async move { sender.closed().await });
    yield_now().await;
    drop(other);
    assert!(waiting.await.is_ok());
}

/// What is there without waiting.
async fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(Duration::ZERO, future).await.ok()
}
