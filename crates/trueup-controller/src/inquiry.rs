//! What an application asks of Git, beside its turns: a slow server takes half a minute to answer, and what is live changes all the
//! same. A turn goes by the last answer, and the next one wakes the worker.
//!
//! One question of an application is under way at a time. What is wished for meanwhile is asked afterwards, since the answer under
//! way may be of before.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;
use trueup_engine::app::{App, AppKey};
use trueup_engine::source::Revision;
use trueup_repo::Freshness;

use crate::mailbox::Depth;
use crate::sources::{Read, SourceRead, SourcesFailure};
use crate::staff::Staff;
use crate::turn::restore::Restored;

/// An answer that takes longer is news: the last verdict is told to be old. A listing of references has ended by then.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);

/// What Git is to be asked, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    pub depth: Depth,
    pub freshness: Freshness,
    /// How deep a look somebody has asked for on the Application: the request stays there until the answer has come.
    /// [`Depth::Live`]: nobody has.
    pub refresh: Depth,
    /// Nothing is done before the answer: what is known is not what is to be gone by.
    pub is_awaited: bool,
}

impl Wish {
    /// One question for both.
    fn and(self, other: Self) -> Self {
        let freshness = match (self.freshness, other.freshness) {
            (Freshness::Within(one), Freshness::Within(other)) => Freshness::Within(one.min(other)),
            (Freshness::Now, _) | (_, Freshness::Now) => Freshness::Now,
        };
        Self {
            depth: self.depth.max(other.depth),
            freshness,
            refresh: self.refresh.max(other.refresh),
            is_awaited: self.is_awaited || other.is_awaited,
        }
    }
}

/// What came of a question.
#[derive(Debug)]
pub struct Answer {
    /// For which application it was asked.
    pub app: Arc<App>,
    /// And for which revision, where it was another than the sources name.
    pub revision: Option<Revision>,
    /// What each source was read from.
    pub reads: Vec<SourceRead>,
    pub read: Result<Read, SourcesFailure>,
    /// What was last synced, where it is not remembered.
    pub restored: Option<Restored>,
    /// Whether that was looked for; else it is to be looked for again.
    pub is_restored: bool,
    pub took: Duration,
}

/// A question that was answered.
#[derive(Debug)]
pub struct Answered {
    /// Nothing: no wish was met, only what was last reported was read again, without asking the remote.
    pub wish: Option<Wish>,
    pub begun_at: Timestamp,
    /// Nothing where the task that asked has panicked.
    pub answer: Option<Answer>,
}

/// What one application asks of Git.
#[derive(Debug, Default)]
pub struct Inquiry {
    under_way: Option<Errand>,
    next: Option<Wish>,
}

/// A question under way. Dropping it ends it.
#[derive(Debug)]
struct Errand {
    wish: Option<Wish>,
    begun_at: Timestamp,
    answer: oneshot::Receiver<Answer>,
    _task: AbortOnDropHandle<()>,
}

impl Inquiry {
    /// Adds to what is asked next.
    pub fn wish(&mut self, wish: Wish) {
        self.next = Some(self.next.map_or(wish, |next| next.and(wish)));
    }

    /// What is to be asked now.
    pub fn due(&mut self) -> Option<Wish> {
        if self.under_way.is_some() { None } else { self.next.take() }
    }

    /// Asks, and wakes the worker of the application when the answer is there. Without a wish it is what was last reported that
    /// is asked for; what is wished for waits.
    pub fn begin(
        &mut self,
        wish: Option<Wish>,
        begun_at: Timestamp,
        (staff, key): (Staff, AppKey),
        asking: impl Future<Output = Answer> + Send + 'static,
    ) {
        let (answers, answer) = oneshot::channel();
        let task = async move {
            // Whatever happens to the question, somebody looks at what came of it.
            let _wakes = Wakes { staff, key };
            // Goes before the one who wakes, so that an end without an answer can be seen by then.
            let answers = answers;
            let answer = asking.await;
            // Who asked may be gone.
            let _unread = answers.send(answer);
        };
        let task = AbortOnDropHandle::new(tokio::spawn(task));
        self.under_way = Some(Errand { wish, begun_at, answer, _task: task });
    }

    /// Takes the answer, where it has come.
    pub fn take(&mut self) -> Option<Answered> {
        use oneshot::error::TryRecvError;
        let answer = match self.under_way.as_mut()?.answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Closed) => None,
        };
        let Errand { wish, begun_at, .. } = self.under_way.take()?;
        Some(Answered { wish, begun_at, answer })
    }

    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether nothing is to be done before an answer.
    pub fn is_awaited(&self) -> bool {
        self.wishes().any(|wish| wish.is_awaited)
    }

    /// How deep a look was asked for that is still to come.
    pub fn refreshing(&self) -> Depth {
        self.wishes().map(|wish| wish.refresh).max().unwrap_or(Depth::Live)
    }

    /// Since when an answer is waited for, and from when on that is told.
    pub fn overdue(&self) -> Option<(Timestamp, Timestamp)> {
        let begun_at = self.under_way.as_ref()?.begun_at;
        Some((begun_at, begun_at.saturating_add(PATIENCE).unwrap_or(Timestamp::MAX)))
    }

    fn wishes(&self) -> impl Iterator<Item = Wish> {
        self.under_way.iter().filter_map(|errand| errand.wish).chain(self.next)
    }
}

/// Wakes a worker when dropped.
struct Wakes {
    staff: Staff,
    key: AppKey,
}

impl Drop for Wakes {
    fn drop(&mut self) {
        self.staff.wake(&self.key, Depth::Live);
    }
}
