//! Rules put together in code, one word after the other.

use std::time::Duration;

use trueup_object::value::Text;

use super::{After, Fault, Match, Rule};

/// Beginnings: what goes wrong. Each meets every request until it is told otherwise.
impl Rule {
    fn of(fault: Fault) -> Self {
        Self { fault, on: Match::default() }
    }

    /// Requests are answered with this code, without being served.
    pub fn refuse(code: u16) -> Self {
        Self::of(Fault::Status { code, retry_after: None, share: 1.0 })
    }

    /// The next so many changes of existing objects fail as if somebody else had been faster.
    pub fn conflict(times: u64) -> Self {
        Self::of(Fault::Conflict { times })
    }

    /// The effect happens, and the answer to it is lost.
    pub fn lose_answers() -> Self {
        Self::of(Fault::Cut)
    }

    /// A listing breaks off after so many objects: the page after them fails.
    pub fn partial_list(keep: usize) -> Self {
        Self::of(Fault::PartialList { keep })
    }

    /// Watches end after so many events.
    pub fn drop_watch_after_events(events: u64) -> Self {
        Self::of(Fault::DropWatch { after: After::Events(events) })
    }

    /// Watches end after so much time.
    pub fn drop_watch_after(time: Duration) -> Self {
        Self::of(Fault::DropWatch { after: After::Time(time) })
    }
}

/// What narrows a rule down. A word that is given twice allows both.
impl Rule {
    /// Only a share (0 to 1) of the requests is refused, drawn by the sandbox's seed. Other faults have no share.
    #[must_use]
    pub fn share(mut self, wanted: f64) -> Self {
        if let Fault::Status { share, .. } = &mut self.fault {
            *share = wanted.clamp(0.0, 1.0);
        }
        self
    }

    /// What a refusal says about when to come back. Other faults say nothing.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        if let Fault::Status { retry_after, .. } = &mut self.fault {
            *retry_after = Some(seconds);
        }
        self
    }

    /// Only requests with this verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    #[must_use]
    pub fn on_verb(mut self, verb: &str) -> Self {
        self.on.verb.push(Text::from(verb));
        self
    }

    /// Only requests about this kind, by its name (`Pod`) or its resource (`pods`).
    #[must_use]
    pub fn on_kind(mut self, kind: &str) -> Self {
        self.on.kind.push(Text::from(kind));
        self
    }

    /// Only requests about kinds of this group; the core group is empty.
    #[must_use]
    pub fn on_group(mut self, group: &str) -> Self {
        self.on.group.push(Text::from(group));
        self
    }

    /// Only requests in this namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.on.namespace.push(Text::from(namespace));
        self
    }

    /// Only requests about an object of this name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.on.name.push(Text::from(name));
        self
    }

    /// Only requests of clients whose user agent begins so.
    #[must_use]
    pub fn from_agent(mut self, user_agent: &str) -> Self {
        self.on.user_agent.push(Text::from(user_agent));
        self
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use trueup_object::Value;

    use super::*;

    #[test]
    fn a_rule_in_code_is_the_rule_of_a_document() {
        for (rule, document) in [
            (
                Rule::refuse(429)
                    .share(0.5)
                    .retry_after(2)
                    .on_verb("patch")
                    .on_verb("update")
                    .from_agent("trueup"),
                r#"{"kind":"status","code":429,"retryAfter":2,"share":0.5,
                    "match":{"verb":["patch","update"],"userAgent":["trueup"]}}"#,
            ),
            (
                Rule::conflict(3).on_kind("Deployment").on_group("apps").in_namespace("web").named("shop"),
                r#"{"kind":"conflict","times":3,
                    "match":{"kind":["Deployment"],"group":["apps"],"namespace":["web"],"name":["shop"]}}"#,
            ),
            (Rule::lose_answers(), r#"{"kind":"cut"}"#),
            (Rule::partial_list(2), r#"{"kind":"partial-list","keep":2}"#),
            (Rule::drop_watch_after_events(1), r#"{"kind":"drop-watch","after":1}"#),
            (Rule::drop_watch_after(Duration::from_secs(5)), r#"{"kind":"drop-watch","after":"5s"}"#),
        ] {
            let parsed = Rule::parse(&Value::from_json(document.as_bytes()).unwrap()).unwrap();
            assert_eq!(rule, parsed, "{document}");
        }
        assert_eq!(Rule::conflict(1).share(0.5), Rule::conflict(1), "only refusals have a share");
    }
}
